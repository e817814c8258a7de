//! A least-squares problem over examples, for methods on mini-batches.

use crate::problem::{Uniform, dot};
use gpu_subset::batch::Batch;
use gpu_subset::cost::{Cost, Units};
use gpu_subset::error::Result;
use gpu_subset::optimise::{
    BatchPlan, Calls, Curved, Euclidean, Lbfgs, LbfgsSettings, Optimiser, Problem, Refresh, Stochastic,
};
use gpu_subset::update::Matrix;

pub const EXAMPLES: usize = 75;
pub const FEATURES: usize = 5;

/// The mean of ½ (aᵀx − y)² over the examples.
pub struct Regression {
    pub space: Euclidean,
    pub examples: Vec<(Vec<f64>, f64)>,
    /// Whether mini-batch after mini-batch is the next third of the examples, whatever was asked for.
    pub in_turn: bool,
    /// From this mini-batch on the loss is NaN.
    pub breaks_at: usize,
    pub minibatches: usize,
    /// What a refresh from all examples costs, in examples forward and backward.
    pub cost_of_refresh: usize,
    /// Refreshes from all examples.
    pub refreshes: usize,
    /// The same of a look at a mini-batch, and how many there were.
    pub cost_of_look: usize,
    pub looks: usize,
    /// Of the mini-batches since last asked.
    pub losses: Vec<f64>,
    /// K as it was last refreshed.
    pub diagonal: Vec<f64>,
    /// Pauses before each mini-batch whose number is a multiple of this; 0: never.
    pub pause_every: usize,
}

impl Regression {
    pub fn new() -> Self {
        let mut random = Uniform(11);
        let mut example = || {
            let a: Vec<f64> = (0..FEATURES).map(|_| random.next()).collect();
            let y = a[0] - 2.0 * a[1] + 0.5 * a[4] + 0.5 * random.next();
            (a, y)
        };
        Self {
            space: Euclidean { dimension: FEATURES, matrices: &[Matrix { start: 1, rows: 2, columns: 2 }] },
            examples: (0..EXAMPLES).map(|_| example()).collect(),
            in_turn: false,
            breaks_at: usize::MAX,
            minibatches: 0,
            cost_of_refresh: 0,
            refreshes: 0,
            cost_of_look: 0,
            looks: 0,
            losses: Vec::new(),
            diagonal: vec![f64::NAN; FEATURES],
            pause_every: 0,
        }
    }

    pub fn evaluate(&self, x: &[f64], positions: impl ExactSizeIterator<Item = usize>, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let count = positions.len() as f64;
        let mut loss = 0.0;
        for (a, y) in positions.map(|position| &self.examples[position]) {
            let r = dot(a, x) - y;
            loss += 0.5 * r * r / count;
            gradient.iter_mut().zip(a).for_each(|(g, a)| *g += r * a / count);
        }
        loss
    }

    /// Where and how low the minimum is, by L-BFGS.
    pub fn minimum(&mut self) -> Result<(Vec<f64>, f64)> {
        let settings = LbfgsSettings { gradient_tolerance: 1e-12, ..LbfgsSettings::default() };
        let mut method: Box<dyn Optimiser<Self>> = Box::new(Lbfgs::new(self, vec![0.0; FEATURES], None, settings)?);
        while method.step(self)?.stop.is_none() {}
        assert!(method.gradient_norm() <= 1e-12);
        Ok((method.parameters().clone(), method.loss()))
    }
}

impl Problem for Regression {
    type Space = Euclidean;
    type Evaluation = f64;

    fn space(&self) -> &Euclidean {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Vec<f64>, gradient: &mut Vec<f64>) -> Result<f64> {
        Ok(self.evaluate(x, 0..EXAMPLES, gradient))
    }

    fn memory(&self) -> Vec<(String, Vec<f64>)> {
        vec![("diagonal".to_owned(), self.diagonal.clone())]
    }

    fn remember(&mut self, memory: &[(String, Vec<f64>)]) -> Result<()> {
        self.diagonal.clone_from(&memory[0].1);
        Ok(())
    }
}

impl Stochastic for Regression {
    type Sums = Vec<f64>;

    fn examples(&self) -> usize {
        EXAMPLES
    }

    fn minibatch_gradient(&mut self, x: &Vec<f64>, batch: Batch<'_>, gradient: &mut Vec<f64>) -> Result<()> {
        assert!(batch.draw.is_none(), "chooses no examples");
        let loss = if self.in_turn {
            let first = EXAMPLES / 3 * (self.minibatches % 3);
            self.evaluate(x, first..first + EXAMPLES / 3, gradient)
        } else {
            self.evaluate(x, batch.positions.iter().map(|&position| position as usize), gradient)
        };
        self.losses.push(if self.minibatches < self.breaks_at { loss } else { f64::NAN });
        self.minibatches += 1;
        Ok(())
    }

    fn take_minibatch_evaluation(&mut self) -> Result<f64> {
        let mean = self.losses.iter().sum::<f64>() / self.losses.len() as f64;
        self.losses.clear();
        Ok(mean)
    }

    fn is_to_pause(&self) -> bool {
        self.pause_every > 0 && self.minibatches.is_multiple_of(self.pause_every)
    }

    fn suspend_minibatches(&mut self) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn take_up_minibatches(&mut self, _: &BatchPlan, sums: Vec<f64>) -> Result<()> {
        self.losses = sums;
        Ok(())
    }

    fn most(&self, minibatches: u64, examples: usize, besides: Calls) -> Units {
        Units::new((minibatches as usize * examples + besides.looks * self.cost_of_look) as f64)
    }

    fn cost(&self) -> Cost {
        let looks = self.refreshes * self.cost_of_refresh + self.looks * self.cost_of_look;
        let examples = (self.minibatches * EXAMPLES / 3 + looks) as u64;
        Cost { forward: examples, backward: examples, ..Cost::default() }
    }
}

/// Least squares: G is the mean of a aᵀ, whatever x, and K its diagonal, a mean over the refreshes.
impl Curved for Regression {
    fn gauss_newton_product(&mut self, _: &Vec<f64>, v: &Vec<f64>, product: &mut Vec<f64>) -> Result<()> {
        product.fill(0.0);
        for (a, _) in &self.examples {
            let along = dot(a, v) / EXAMPLES as f64;
            product.iter_mut().zip(a).for_each(|(p, a)| *p += along * a);
        }
        Ok(())
    }

    fn curvature(&mut self, x: &Vec<f64>, [u, v]: [&Vec<f64>; 2], _: [f64; 3]) -> Result<[f64; 3]> {
        let mut product = |v: &Vec<f64>| -> Result<Vec<f64>> {
            let mut product = vec![0.0; FEATURES];
            self.gauss_newton_product(x, v, &mut product)?;
            Ok(product)
        };
        let (gu, gv) = (product(u)?, product(v)?);
        Ok([dot(u, &gu), dot(u, &gv), dot(v, &gv)])
    }

    fn refresh_preconditioner(&mut self, _: &Vec<f64>, refresh: Refresh) -> Result<()> {
        // the first takes all examples, the others some
        self.refreshes += usize::from(!refresh.at_minibatch);
        self.looks += usize::from(refresh.at_minibatch);
        let seen =
            if refresh.at_minibatch { &self.examples[refresh.seed as usize % 50..][..25] } else { &self.examples[..] };
        for (i, k) in self.diagonal.iter_mut().enumerate() {
            let mean = seen.iter().map(|(a, _)| a[i] * a[i]).sum::<f64>() / seen.len() as f64;
            *k = if refresh.keep == 0.0 { mean } else { refresh.keep * *k + (1.0 - refresh.keep) * mean };
        }
        Ok(())
    }

    fn precondition(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        *out = v.iter().zip(&self.diagonal).map(|(v, k)| v / (k + damping)).collect();
        Ok(())
    }

    fn precondition_diagonally(&mut self, damping: f64, v: &Vec<f64>, out: &mut Vec<f64>) -> Result<()> {
        self.precondition(damping, v, out)
    }
}
