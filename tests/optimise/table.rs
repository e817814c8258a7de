//! Problems with known minima.

use crate::*;

/// f(x), with ∇f(x) written into the second argument.
pub type Function = Rc<dyn Fn(&[f64], &mut [f64]) -> f64>;

/// A function as a [`Problem`] that counts.
pub struct Counted {
    pub space: Euclidean,
    pub function: Function,
    /// Loss and gradient rounded as if summed in f32 from terms of order one.
    pub single_precision: bool,
    pub evaluations: usize,
    pub not_finite: usize,
}

impl Problem for Counted {
    type Space = Euclidean;

    fn space(&self) -> &Euclidean {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Vec<f64>, gradient: &mut Vec<f64>) -> Result<f64> {
        let mut loss = (self.function)(x, gradient);
        if self.single_precision {
            loss = f64::from(loss as f32);
            gradient.iter_mut().for_each(|g| *g = f64::from((*g + 1.0) as f32) - 1.0);
        }
        self.evaluations += 1;
        self.not_finite += usize::from(!loss.is_finite());
        Ok(loss)
    }
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub start: Vec<f64>,
    pub minimiser: Vec<f64>,
    pub function: Function,
    /// Solved once f is within this of its minimum …
    pub tolerance: f64,
    /// … and no later than after so many evaluations.
    pub evaluations: usize,
    /// ‖∇f‖ at which to stop.
    pub gradient_tolerance: f64,
    /// Whether f is not finite at some of the points a method is expected to try.
    pub has_edge: bool,
}

impl Row {
    pub fn new(
        name: &'static str,
        (start, minimiser): (Vec<f64>, Vec<f64>),
        (tolerance, evaluations): (f64, usize),
        function: impl Fn(&[f64], &mut [f64]) -> f64 + 'static,
    ) -> Self {
        let function = Rc::new(function);
        let (gradient_tolerance, has_edge) = (1e-6, false);
        Self { name, start, minimiser, function, tolerance, evaluations, gradient_tolerance, has_edge }
    }

    pub fn with_edge(self) -> Self {
        Self { has_edge: true, ..self }
    }

    pub fn problem(&self) -> Counted {
        Counted {
            space: Euclidean(self.start.len()),
            function: self.function.clone(),
            single_precision: false,
            evaluations: 0,
            not_finite: 0,
        }
    }

    /// f at the minimum, and the norm of what rounding leaves of the gradient there.
    pub fn minimum(&self) -> (f64, f64) {
        let mut gradient = vec![0.0; self.minimiser.len()];
        let loss = (self.function)(&self.minimiser, &mut gradient);
        (loss, gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
    }
}

/// 2 + ½ Σ λᵢ (xᵢ − 1)² in 50 dimensions, eigenvalues λ spread evenly on a log scale from 1 to the condition
/// number.
pub fn quadratic(name: &'static str, condition: f64, limits: (f64, usize)) -> Row {
    let eigenvalue = move |i: usize| condition.powf(i as f64 / 49.0);
    Row::new(name, (vec![0.0; 50], vec![1.0; 50]), limits, move |x, g| {
        let mut loss = 2.0;
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            *g = eigenvalue(i) * (x - 1.0);
            loss += 0.5 * *g * (x - 1.0);
        }
        loss
    })
}

/// The chained Rosenbrock function, Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)².
pub fn rosenbrock(name: &'static str, start: Vec<f64>, limits: (f64, usize)) -> Row {
    let minimiser = vec![1.0; start.len()];
    Row::new(name, (start, minimiser), limits, |x, g| {
        g.fill(0.0);
        let mut loss = 0.0;
        for i in 0..x.len() - 1 {
            let (u, v) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            loss += 100.0 * u * u + v * v;
            g[i] -= 400.0 * x[i] * u + 2.0 * v;
            g[i + 1] += 200.0 * u;
        }
        loss
    })
}

/// Logistic regression on 200 synthetic examples of 8 features, mean loss + ½ 10⁻² ‖x‖². Newton's method
/// gives the minimum.
pub fn logistic(name: &'static str, limits: (f64, usize)) -> Row {
    const N: usize = 8;
    const DECAY: f64 = 1e-2;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let examples: Vec<([f64; N], f64)> = (0..200)
        .map(|_| {
            let a: [f64; N] = std::array::from_fn(|j| random.random_range(-1.0..1.0) * 2f64.powi(j as i32 - 4));
            let noisy = a[6] - a[7] + 0.3 + random.random_range(-2.0..2.0);
            (a, noisy.signum())
        })
        .collect();
    // loss, gradient, Hessian
    let evaluate = move |x: &[f64]| {
        let mut loss = 0.5 * DECAY * x.iter().map(|x| x * x).sum::<f64>();
        let mut gradient: [f64; N] = std::array::from_fn(|j| DECAY * x[j]);
        let mut hessian = [[0.0; N]; N];
        (0..N).for_each(|j| hessian[j][j] = DECAY);
        for (a, label) in &examples {
            let margin = label * a.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
            let p = 1.0 / (1.0 + margin.exp()); // of the wrong label
            loss -= (1.0 - p).ln() / 200.0;
            for j in 0..N {
                gradient[j] -= p * label * a[j] / 200.0;
                (0..N).for_each(|k| hessian[j][k] += p * (1.0 - p) * a[j] * a[k] / 200.0);
            }
        }
        (loss, gradient, hessian)
    };
    let mut x = [0.0; N];
    for _ in 0..20 {
        let (_, gradient, hessian) = evaluate(&x);
        let step = solve(hessian, gradient);
        (0..N).for_each(|j| x[j] -= step[j]);
    }
    Row::new(name, (vec![0.0; N], x.to_vec()), limits, move |x, g| {
        let (loss, gradient, _) = evaluate(x);
        g.copy_from_slice(&gradient);
        loss
    })
}

/// A⁻¹b for a positive definite A, by elimination.
pub fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for i in 0..N {
        for j in 0..N {
            if j != i {
                let factor = a[j][i] / a[i][i];
                (i..N).for_each(|k| a[j][k] -= factor * a[i][k]);
                b[j] -= factor * b[i];
            }
        }
    }
    std::array::from_fn(|i| b[i] / a[i][i])
}

/// The table. The limits on evaluations are what the worse of the two nonlinear CGs takes, and a quarter.
pub fn table() -> Vec<Row> {
    vec![
        quadratic("quadratic, condition 1", 1.0, (1e-12, 3)),
        quadratic("quadratic, condition 1e2", 1e2, (1e-9, 115)),
        quadratic("quadratic, condition 1e4", 1e4, (1e-9, 1460)),
        // from 1.6e8: six digits, since inexact line searches take tens of thousands of evaluations to the
        // minimum
        Row { gradient_tolerance: 1e3, ..quadratic("quadratic, condition 1e8", 1e8, (1e2, 2240)) },
        rosenbrock("Rosenbrock, 2", vec![-1.2, 1.0], (1e-12, 105)),
        rosenbrock("Rosenbrock, 10", vec![0.0; 10], (1e-12, 690)),
        rosenbrock("Rosenbrock, 100", vec![0.0; 100], (1e-12, 1850)),
        // Moré, Garbow and Hillstrom, Testing unconstrained optimization software, ACM TOMS 7(1), 1981,
        // problem 5
        Row::new("Beale", (vec![1.0, 1.0], vec![3.0, 0.5]), (1e-12, 38), |x, g| {
            g.fill(0.0);
            let mut loss = 0.0;
            for (i, y) in [(1, 1.5), (2, 2.25), (3, 2.625)] {
                let r = y - x[0] * (1.0 - x[1].powi(i));
                loss += r * r;
                g[0] -= 2.0 * r * (1.0 - x[1].powi(i));
                g[1] += 2.0 * r * x[0] * f64::from(i) * x[1].powi(i - 1);
            }
            loss
        }),
        // the same, problem 13: its Hessian at the minimum is singular
        Row::new("Powell singular", (vec![3.0, -1.0, 0.0, 1.0], vec![0.0; 4]), (1e-9, 310), |x, g| {
            let (a, b) = (x[0] + 10.0 * x[1], x[2] - x[3]);
            let (c, d) = (x[1] - 2.0 * x[2], x[0] - x[3]);
            let (c3, d3) = (4.0 * c.powi(3), 40.0 * d.powi(3));
            g.copy_from_slice(&[2.0 * a + d3, 20.0 * a + c3, 10.0 * b - 2.0 * c3, -10.0 * b - d3]);
            a * a + 5.0 * b * b + c.powi(4) + 10.0 * d.powi(4)
        }),
        logistic("logistic regression", (1e-9, 45)),
        // Σ e^(20x) − x: nearly linear, then a wall that overflows
        Row::new("overflow", (vec![-50.0, -60.0, -70.0], vec![-(20f64.ln()) / 20.0; 3]), (1e-9, 134), |x, g| {
            let e = |x: f64| (20.0 * x).exp();
            g.iter_mut().zip(x).for_each(|(g, &x)| *g = 20.0 * e(x) - 1.0);
            x.iter().map(|&x| e(x) - x).sum()
        })
        .with_edge(),
        // Σ i (x − ln x), NaN for negative x
        Row::new("logarithmic barrier", (vec![1e3, 5.0, 1e-3], vec![1.0; 3]), (1e-9, 114), |x, g| {
            let terms = x.iter().zip([1.0, 2.0, 3.0]);
            g.iter_mut().zip(terms.clone()).for_each(|(g, (x, i))| *g = i - i / x);
            terms.map(|(x, i)| i * (x - x.ln())).sum()
        })
        .with_edge(),
        // −ln x − ln(1 − x): a domain with no room for a step of one
        Row::new("unit interval", (vec![1e-6], vec![0.5]), (1e-12, 22), |x, g| {
            g[0] = 1.0 / (1.0 - x[0]) - 1.0 / x[0];
            -x[0].ln() - (1.0 - x[0]).ln()
        })
        .with_edge(),
        Row::new("x⁴", (vec![3.0], vec![0.0]), (1e-9, 14), |x, g| {
            g[0] = 4.0 * x[0].powi(3);
            x[0].powi(4)
        }),
        Row::new("constant", (vec![3.0], vec![-7.0]), (0.0, 1), |_, g| {
            g[0] = 0.0;
            5.0
        }),
    ]
}
