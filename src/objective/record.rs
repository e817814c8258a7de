//! Recording the programs of a pass: what runs before the chunks, for each chunk, and after them.

use super::Objective;
use crate::device::Buf;
use crate::error::Result;
use crate::kernel::Program;
use crate::kernels::softmax_xent::{self, Targets};
use crate::kernels::{finite, gather, vector};
use std::ops::Range;

/// What a pass over the examples computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    Loss,
    Gradient,
    GaussNewton,
    Tangent,
}

impl Pass {
    pub fn has_backward(self) -> bool {
        matches!(self, Self::Gradient | Self::GaussNewton)
    }

    fn has_tangent(self) -> bool {
        matches!(self, Self::GaussNewton | Self::Tangent)
    }
}

/// A run of whole batch blocks that fits the workspace, as views of the objective's lists.
pub(super) struct Chunk {
    /// Padded examples.
    pub range: Range<usize>,
    pub index: Buf,
    pub targets: Targets,
    pub loss: Buf,
    pub correct: Buf,
}

impl Objective {
    pub(super) fn record(&self, pass: Pass) -> Result<Vec<Program>> {
        let mut programs = vec![self.record_start(pass)?];
        for chunk in self.chunks() {
            programs.push(self.record_chunk(pass, &chunk)?);
        }
        programs.push(self.record_end(pass)?);
        Ok(programs)
    }

    fn record_start(&self, pass: Pass) -> Result<Program> {
        let mut program = self.workspace.packing(&self.gpu, pass.has_backward(), pass.has_tangent())?;
        program.clear(&self.workspace.report.all);
        if pass.has_backward() {
            program.clear(&self.workspace.gradient);
        }
        Ok(program)
    }

    fn record_chunk(&self, pass: Pass, chunk: &Chunk) -> Result<Program> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let examples = chunk.range.len();
        let mut program = Program::default();
        // x of each layer and the logits, for the examples of this chunk
        let x: Vec<Buf> =
            workspace.activations.iter().map(|x| x.prefix(x.len() / workspace.chunk * examples)).collect();
        for page in &self.examples.pages {
            let by = &self.examples.normalisation;
            program.push(gather::gather(gpu, self.examples.shape, page, &chunk.index, by, &x[0])?);
        }
        for (i, layer) in workspace.model.layers().iter().enumerate() {
            program.extend(layer.forward(gpu, workspace.weights[i].as_ref(), &x[i], &x[i + 1])?);
            if layer.needs_check() {
                program.push(finite::check(gpu, &x[i + 1], &workspace.report.found[i])?);
            }
        }
        let logits = &x[x.len() - 1];
        program.push(softmax_xent::loss(gpu, logits, &chunk.targets, &chunk.loss, &chunk.correct)?);

        let [a, b] = &workspace.passing;
        let [a, b] = [a, b].map(|buf| buf.prefix(logits.len()));
        match pass {
            Pass::Loss => {}
            Pass::Tangent => {
                let out = self.tangents.as_ref().expect("allocated before the pass is recorded");
                let classes = workspace.model.classes;
                let out = out.view(chunk.range.start * classes..chunk.range.end * classes);
                self.record_jvp(&mut program, &x, &out)?;
            }
            Pass::Gradient => {
                program.push(softmax_xent::gradient(gpu, logits, &chunk.targets, &a)?);
                self.record_vjp(&mut program, &x)?;
            }
            Pass::GaussNewton => {
                self.record_jvp(&mut program, &x, &b)?;
                program.push(softmax_xent::hvp(gpu, logits, &b, &chunk.targets, &a)?);
                self.record_vjp(&mut program, &x)?;
            }
        }
        Ok(program)
    }

    /// Tangents through all layers, the logits' into `out`. Layers before the first parameters have none.
    fn record_jvp(&self, program: &mut Program, x: &[Buf], out: &Buf) -> Result<()> {
        let layers = self.workspace.model.layers();
        let mut tx: Option<Buf> = None;
        for (i, layer) in layers.iter().enumerate() {
            let weights = self.workspace.weights[i].as_ref();
            if weights.is_none() && tx.is_none() {
                continue;
            }
            let is_last = i + 1 == layers.len();
            // Even layers write one buffer, odd ones the other; `out` may be the second, so the layer before reads the first.
            let side = usize::from((layers.len() - 1 - i).is_multiple_of(2));
            let ty = if is_last { out.clone() } else { self.workspace.passing[side].prefix(x[i + 1].len()) };
            program.extend(layer.jvp(&self.gpu, weights, &x[i], tx.as_ref(), &ty)?);
            tx = Some(ty);
        }
        Ok(())
    }

    /// Cotangents from the logits' in the first passing buffer back to the first layer with parameters.
    fn record_vjp(&self, program: &mut Program, x: &[Buf]) -> Result<()> {
        let layers = self.workspace.model.layers();
        let first = self.workspace.weights.iter().position(Option::is_some).unwrap_or(0);
        for (i, layer) in layers.iter().enumerate().skip(first).rev() {
            let side = (layers.len() - 1 - i) % 2;
            let dy = self.workspace.passing[side].prefix(x[i + 1].len());
            let dx = (i > first).then(|| self.workspace.passing[1 - side].prefix(x[i].len()));
            program.extend(layer.vjp(&self.gpu, self.workspace.weights[i].as_ref(), &x[i], &dy, dx.as_ref())?);
        }
        Ok(())
    }

    fn record_end(&self, pass: Pass) -> Result<Program> {
        let (gpu, workspace) = (&self.gpu, &*self.workspace);
        let (report, mut program) = (&workspace.report, Program::default());
        if pass.has_backward() {
            let at = if pass == Pass::Gradient { &workspace.theta } else { &workspace.tangent };
            program.push(vector::axpby(gpu, &workspace.coefficients, at, &workspace.gradient)?);
            program.push(finite::check(gpu, &workspace.gradient, &report.found[report.found.len() - 1])?);
        }
        // The report was cleared, so partial sums that a stage does not fill are zeros.
        program.extend(vector::sum(gpu, &self.loss, &self.scratch, &report.loss)?);
        program.extend(vector::sum(gpu, &self.correct, &self.scratch, &report.correct)?);
        program.extend(vector::dot(gpu, &workspace.theta, &workspace.theta, &self.scratch, &report.theta_square)?);
        Ok(program)
    }
}
