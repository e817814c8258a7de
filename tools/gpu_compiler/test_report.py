"""The gate can fail: python3 -m unittest discover tools/gpu_compiler"""

import tempfile
import unittest
from collections import Counter
from pathlib import Path

import compiled
import gate
import trace

# A kernel with a loop of 16 multiply-adds (one of them not fused) in 20 vector instructions, and a loop after it.
KERNEL = (
    "@ matmul INPUTS=8 LEFT=-1\n"
    + "VGPRs: 40\nSpilled SGPRs: 0\nSpilled VGPRs: 0\nScratch size: 0\nSubgroups per SIMD: 8\nBB0:\n"
    + "BB1:\n\tbuffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen ; e0\n\ts_barrier\n\tv_mul_f32_e32 v0, v1, v2 ; 10\n"
    + 15 * "\tv_fmac_f32_e32 v0, v1, v2 ; 56\n"
    + "\tv_add_f32_e32 v0, v1, v2\n\tv_add_f32_e32 v0, v1, v2\n"
    + "\tv_dual_mov_b32 v0, v1 :: v_dual_mov_b32 v2, v3\n\ts_cbranch_scc0 BB1 ; bf\n"
    + "BB2:\n\tv_add_nc_u32 v0, v1, v2\n\ts_branch BB2\n\ts_endpgm\n"
)

EVERY = {"spilled": 0, "waves": 4}


def limits(**shaders):
    return {"families": ["navi21"], "kernels": {"discrete": shaders}}


class Reading(unittest.TestCase):
    def read(self, reader, text, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_text(text)
            return reader(path, *arguments)

    def test_a_kernel(self):
        (kernel,) = self.read(compiled.read, KERNEL + KERNEL, "discrete", "navi21")
        self.assertEqual(kernel.label, "matmul INPUTS=8 LEFT=-1")
        self.assertEqual((kernel.vgprs, kernel.waves, kernel.spilled, kernel.barriers), (40, 4, 0, 1))
        self.assertEqual((kernel.multiply_adds, kernel.useful, kernel.bytes_loaded), (16, 0.8, 1.0))

    def test_a_training(self):
        step = "P 1 0.5 natural_update SLOPES=16\nD 0 1 2 3\nB\nI 0\nS 2.5\nD 1 1 1 1\n"
        training = self.read(trace.read, "P 0 0.25 axpby\n" + 3 * step, "net")
        self.assertEqual((len(training.pipelines), training.compiled_in), (2, 1.75))
        self.assertEqual(training.steps, 2 * [Counter(dispatches=3, barriers=1, submissions=1, seconds=0.0)])
        self.assertEqual(training.ordinary_step()[0], ("axpby", "1 × 2 × 3"))


class Judging(unittest.TestCase):
    def kernel(self, family="navi21", **numbers):
        kernel = compiled.parse(KERNEL.removeprefix("@ "), "discrete", family)
        kernel.numbers.update({name.replace("_", " "): value for name, value in numbers.items()})
        return kernel

    def violations(self, kernel, table=limits(every=EVERY, matmul={"useful": 0.8})):
        return list(gate.of_kernels(table, [kernel]))

    def test_what_is_within_its_limits_passes(self):
        self.assertEqual(self.violations(self.kernel()), [])

    def test_whatever_is_beyond_is_named(self):
        at = "discrete, navi21: matmul INPUTS=8 LEFT=-1: "
        self.assertEqual(self.violations(self.kernel(Spilled_VGPRs=3)), [at + "spilled 3, at most 0"])
        self.assertEqual(self.violations(self.kernel(Subgroups_per_SIMD=7)), [at + "waves 3, at least 4"])
        slow = self.kernel()
        slow.turn["vector"] += 1
        self.assertEqual(self.violations(slow), [at + "useful 0.76, at least 0.8"])

    def test_other_families_only_must_not_spill(self):
        vega = self.kernel("vega10", Subgroups_per_SIMD=1)
        self.assertEqual(self.violations(vega), [])
        self.assertEqual(len(self.violations(self.kernel("vega10", Spilled_SGPRs=1))), 1)

    def test_medians_and_shaders_that_are_gone_are_seen(self):
        table = limits(every={}, matmul={"useful_median": 0.9}, conv2d={"waves": 1})
        gone, median = self.violations(self.kernel(), table)
        self.assertIn("conv2d, which is not in use", gone)
        self.assertIn("all 1 matmul with a loop over a product: useful_median 0.8, at least 0.9", median)

    def test_a_loop_unrolled_as_a_whole_has_no_share_but_not_all_of_them(self):
        unrolled = self.kernel()
        unrolled.turn.clear()
        self.assertEqual(self.violations(unrolled), [])
        (none,) = self.violations(unrolled, limits(every={}, matmul={"useful_median": 0.5}))
        self.assertIn("all 0 matmul", none)

    def test_an_output_alone_has_no_share(self):
        alone = self.kernel()
        alone.constants["OUTPUTS"] = 1
        self.assertIsNone(alone.useful)
        self.assertEqual(self.violations(alone), [])

    def test_a_training_is_judged(self):
        steps = [Counter(dispatches=32, submissions=1), Counter(dispatches=36, submissions=1)]
        training = trace.Training("net", {0: "axpby"}, 0.1, steps, [])
        within = {"dispatches": 34, "mean_submissions": 1, "pipelines": 1}
        self.assertEqual(list(gate.of_training(within, training)), [])
        self.assertEqual(
            list(gate.of_training({"mean_dispatches": 33, "pipelines": 0}, training)),
            ["net: mean_dispatches 34, at most 33", "net: pipelines 1, at most 0"],
        )

    def test_a_kernel_that_was_not_judged_is_seen(self):
        labels = {0: "matmul INPUTS=8 LEFT=-1 EXAMPLES=9", 1: "matmul INPUTS=9 LEFT=-1"}
        (found,) = gate.unjudged(trace.Training("net", labels, 0.1, [], []), [self.kernel()])
        self.assertIn("net uses what tests/common/in_use.rs does not record: matmul INPUTS=9", found)

    def test_a_limit_that_nobody_looks_at_is_refused(self):
        table = {"kernels": {"discrete": {"every": {"vgprs": 3}}}, "trainings": {}}
        with self.assertRaisesRegex(gate.BadTable, "kernels.discrete.every limits vgprs"):
            gate.check_names(table)


if __name__ == "__main__":
    unittest.main()
