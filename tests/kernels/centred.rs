//! Factors of the inputs by their mean and variance, and what is multiplied with their inverses.

use crate::common::*;
use gpu_subset::kernels::blocks::{self, Blocks, Centre, Part};
use gpu_subset::kernels::centred::{self, Moments};

#[test]
fn moments_are_those_of_the_values() {
    let mut rng = rng(91);
    for gpu in gpus() {
        for (features, places, examples) in [(1, 1, 1), (17, 3, 255), (255, 1, 17), (3, 100, 257)] {
            let what = format!("{features} features at {places} places of {examples}, {:?}", gpu.profile);
            let words = unwritten(&gpu, 2 * features);
            let moments = Moments::new(&gpu, features, places, words.clone()).unwrap();
            let mut want = [vec![0.0; features], vec![0.0; features]];
            // what is there before is no number, and is not kept
            for keep in [0.0, 0.75] {
                let x: Vec<f64> = uniform(examples * features * places, &mut rng).iter().map(|x| x + 2.0).collect();
                let on_device = upload_blocks(&gpu, &x, features * places);
                moments.weigh(&gpu, keep, examples);
                run(&gpu, [moments.update(&gpu, &on_device).unwrap()]);
                want = centred::reference::update(keep, [&want[0], &want[1]], &x, places);
                assert_close(&format!("{what}, {keep} kept"), &download(&gpu, &words), &want.concat(), 1e-5);
            }
        }
    }
}

/// A symmetric positive definite matrix.
fn definite(side: usize, rng: &mut rand_chacha::ChaCha8Rng) -> Vec<f64> {
    let x = uniform(side * side, rng);
    let entry = |i: usize, j: usize| (0..side).map(|k| x[k * side + i] * x[k * side + j]).sum::<f64>() / side as f64;
    (0..side * side)
        .map(|at| f64::from((entry(at / side, at % side) + f64::from(u8::from(at / side == at % side))) as f32))
        .collect()
}

#[test]
fn gradients_are_divided_about_the_mean() {
    const LAYERS: [(usize, usize, usize); 6] =
        [(1, 1, 1), (8, 25, 144), (17, 255, 16), (40, 256, 1), (33, 31, 4), (255, 16, 2)];
    const LAMBDA: f64 = 0.25;
    let mut rng = rng(92);
    for gpu in gpus() {
        let (mut start, mut end) = (64, 64);
        let parts = LAYERS.map(|(outputs, patches, places)| {
            let part = Part::whole(start, outputs, patches);
            let centre = Centre { start: end, features: patches, places };
            start += (outputs * (patches + 1)).next_multiple_of(64);
            end += (2 * patches).next_multiple_of(64);
            (part, centre)
        });
        // more buffers than one
        let sizes = LAYERS.map(|(outputs, patches, _)| [outputs, patches + 1]);
        let blocks = Blocks::within(&gpu, &sizes, 3_000).unwrap();
        let factors = LAYERS.map(|(outputs, _, _)| definite(outputs, &mut rng));
        for (i, factor) in factors.iter().enumerate() {
            gpu.write(&blocks.matrix(i), &factor.iter().map(|&x| x as f32).collect::<Vec<_>>());
        }
        // variances are positive
        let moments: Vec<f64> = uniform(end, &mut rng).iter().map(|x| x + 1.5).collect();
        let gradient = uniform(start, &mut rng);
        let (d, scales) = (unwritten(&gpu, start), unwritten(&gpu, 4 * LAYERS.len()));
        let (on_moments, lambda) = (upload(&gpu, &moments), gpu.upload("lambda", &[LAMBDA as f32]).unwrap());
        let centres = parts.map(|(_, centre)| centre);
        let mut steps = centred::damping(&gpu, &blocks, &centres, &on_moments, &lambda, &scales).unwrap();
        steps.extend(blocks.invert(&gpu).unwrap());
        let on_gradient = upload(&gpu, &gradient);
        steps.extend(blocks.apply_centred(&gpu, &parts, [&on_moments, &scales], &on_gradient, &d).unwrap());
        run(&gpu, steps);
        let (got, deltas) = (download(&gpu, &d), download(&gpu, &blocks.deltas));
        for (l, (Part { start, outputs, patches, .. }, centre)) in parts.into_iter().enumerate() {
            let what = format!("{:?}, {:?}", LAYERS[l], gpu.profile);
            let of_layer = &moments[centre.start..centre.start + 2 * patches];
            let moments: [&[f64]; 2] = of_layer.split_at(patches).into();
            let [of_a, of_g] = centred::reference::damping(moments, centre.places, &factors[l], LAMBDA);
            assert_close(&what, &deltas[l..=l], &[of_g], 1e-5);
            let mut g = factors[l].clone();
            (0..outputs).for_each(|i| g[i * outputs + i] += of_g);
            let (range, inverse) = (start..start + outputs * (patches + 1), blocks::reference::inverse(&g));
            let v = &gradient[range.clone()];
            let want = centred::reference::direction(v, moments, (centre.places, of_a), &inverse);
            assert_close(&what, &got[range], &want, 1e-4);
        }
        assert!(got[..64].iter().all(|x| x.is_nan()), "nothing beside the layers is touched");
    }
}

/// A is T [σ² I + m mᵀ, m; mᵀ, 1], and δ is added to its diagonal.
#[test]
fn the_direction_is_that_of_the_matrix_it_stands_for() {
    let mut rng = rng(93);
    let (outputs, patches, places, delta) = (3, 5, 4, 0.3);
    let (means, variances) = (uniform(patches, &mut rng), vec![0.7; patches]);
    let g = definite(outputs, &mut rng);
    let column = |r: usize| if r == patches { 1.0 } else { means[r] };
    let entry = |i: usize, j: usize| {
        let variance = if i < patches { 0.7 } else { 0.0 };
        let diagonal = if i == j { places as f64 * variance + delta } else { 0.0 };
        places as f64 * column(i) * column(j) + diagonal
    };
    let side = patches + 1;
    let a: Vec<f64> = (0..side * side).map(|at| entry(at / side, at % side)).collect();
    let v = uniform(outputs * side, &mut rng);
    let at = |o: usize, r: usize| if r == patches { outputs * patches + o } else { o * patches + r };
    let matrix: Vec<f64> = (0..outputs * side).map(|i| v[at(i / side, i % side)]).collect();
    let g_inverse = blocks::reference::inverse(&g);
    let want = blocks::reference::between(&g_inverse, &matrix, &blocks::reference::inverse(&a));
    let got = centred::reference::direction(&v, [&means, &variances], (places, delta), &g_inverse);
    let got: Vec<f64> = (0..outputs * side).map(|i| got[at(i / side, i % side)]).collect();
    assert_close("d", &got, &want, 1e-10);
}
