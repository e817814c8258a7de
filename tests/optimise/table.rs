//! Problems with known minima.

use crate::net::*;
use crate::problem::*;

/// 2 + ½ Σ λᵢ (xᵢ − 1)² in 50 dimensions, eigenvalues λ spread evenly on a log scale from 1 to the condition
/// number.
pub fn quadratic(name: &'static str, condition: f64, limits: (f64, [usize; 4])) -> Row {
    let eigenvalue = move |i: usize| condition.powf(i as f64 / 49.0);
    let function = move |x: &[f64], g: &mut [f64]| {
        let mut loss = 2.0;
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            *g = eigenvalue(i) * (x - 1.0);
            loss += 0.5 * *g * (x - 1.0);
        }
        loss
    };
    let matrix = diagonal(&(0..50).map(eigenvalue).collect::<Vec<_>>());
    Row::new(name, (vec![0.0; 50], vec![1.0; 50]), limits, function, move |_| matrix.clone())
}

/// The chained Rosenbrock function, Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)².
pub fn rosenbrock(name: &'static str, start: Vec<f64>, limits: (f64, [usize; 4])) -> Row {
    let minimiser = vec![1.0; start.len()];
    let function = |x: &[f64], g: &mut [f64]| {
        g.fill(0.0);
        let mut loss = 0.0;
        for i in 0..x.len() - 1 {
            let (u, v) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            loss += 100.0 * u * u + v * v;
            g[i] -= 400.0 * x[i] * u + 2.0 * v;
            g[i + 1] += 200.0 * u;
        }
        loss
    };
    // of the residuals 10 (xᵢ₊₁ − xᵢ²) and 1 − xᵢ
    let curvature = |x: &[f64]| {
        let mut matrix = diagonal(&vec![0.0; x.len()]);
        for i in 0..x.len() - 1 {
            matrix[i][i] += 800.0 * x[i] * x[i] + 2.0;
            matrix[i][i + 1] -= 400.0 * x[i];
            matrix[i + 1][i] -= 400.0 * x[i];
            matrix[i + 1][i + 1] += 200.0;
        }
        matrix
    };
    Row::new(name, (start, minimiser), limits, function, curvature)
}

/// Problem 5 of Moré, Garbow and Hillstrom, Testing unconstrained optimization software, ACM TOMS 7(1), 1981.
fn beale() -> Row {
    Row::new(
        "Beale",
        (vec![1.0, 1.0], vec![3.0, 0.5]),
        (1e-12, [38, 20, 25, 12]),
        |x, g| {
            g.fill(0.0);
            let mut loss = 0.0;
            for (i, y) in [(1, 1.5), (2, 2.25), (3, 2.625)] {
                let r = y - x[0] * (1.0 - x[1].powi(i));
                loss += r * r;
                g[0] -= 2.0 * r * (1.0 - x[1].powi(i));
                g[1] += 2.0 * r * x[0] * f64::from(i) * x[1].powi(i - 1);
            }
            loss
        },
        |x| {
            let row = |i: i32| [x[1].powi(i) - 1.0, x[0] * f64::from(i) * x[1].powi(i - 1)];
            of_squares(&[1, 2, 3].map(row))
        },
    )
}

/// Problem 13 of the same: its Hessian at the minimum is singular.
fn powell_singular() -> Row {
    Row::new(
        "Powell singular",
        (vec![3.0, -1.0, 0.0, 1.0], vec![0.0; 4]),
        (1e-9, [310, 45, 37, 92]),
        |x, g| {
            let (a, b) = (x[0] + 10.0 * x[1], x[2] - x[3]);
            let (c, d) = (x[1] - 2.0 * x[2], x[0] - x[3]);
            let (c3, d3) = (4.0 * c.powi(3), 40.0 * d.powi(3));
            g.copy_from_slice(&[2.0 * a + d3, 20.0 * a + c3, 10.0 * b - 2.0 * c3, -10.0 * b - d3]);
            a * a + 5.0 * b * b + c.powi(4) + 10.0 * d.powi(4)
        },
        |x| {
            let (c, d) = (2.0 * (x[1] - 2.0 * x[2]), 2.0 * 10f64.sqrt() * (x[0] - x[3]));
            let root = 5f64.sqrt();
            of_squares(&[[1.0, 10.0, 0.0, 0.0], [0.0, 0.0, root, -root], [0.0, c, -2.0 * c, 0.0], [d, 0.0, 0.0, -d]])
        },
    )
    .vanishing()
}

/// Σ e^(20x) − x: nearly linear, then a wall that overflows.
fn overflow() -> Row {
    Row::new(
        "overflow",
        (vec![-50.0, -60.0, -70.0], vec![-(20f64.ln()) / 20.0; 3]),
        (1e-9, [134, 82, 47, 70]),
        |x, g| {
            let e = |x: f64| (20.0 * x).exp();
            g.iter_mut().zip(x).for_each(|(g, &x)| *g = 20.0 * e(x) - 1.0);
            x.iter().map(|&x| e(x) - x).sum()
        },
        |x| diagonal(&x.iter().map(|x| 400.0 * (20.0 * x).exp()).collect::<Vec<_>>()),
    )
    .with_edge()
}

/// Σ i (x − ln x), NaN for negative x.
fn logarithmic_barrier() -> Row {
    Row::new(
        "logarithmic barrier",
        (vec![1e3, 5.0, 1e-3], vec![1.0; 3]),
        (1e-9, [114, 128, 77, 32]),
        |x, g| {
            let terms = x.iter().zip([1.0, 2.0, 3.0]);
            g.iter_mut().zip(terms.clone()).for_each(|(g, (x, i))| *g = i - i / x);
            terms.map(|(x, i)| i * (x - x.ln())).sum()
        },
        |x| {
            let terms = x.iter().zip([1.0, 2.0, 3.0]);
            diagonal(&terms.map(|(x, i)| i / (x * x)).collect::<Vec<_>>())
        },
    )
    .with_edge()
}

/// −ln x − ln(1 − x): a domain with no room for a step of one.
fn unit_interval() -> Row {
    Row::new(
        "unit interval",
        (vec![1e-6], vec![0.5]),
        (1e-12, [22, 19, 40, 29]),
        |x, g| {
            g[0] = 1.0 / (1.0 - x[0]) - 1.0 / x[0];
            -x[0].ln() - (1.0 - x[0]).ln()
        },
        |x| diagonal(&[x[0].powi(-2) + (1.0 - x[0]).powi(-2)]),
    )
    .with_edge()
}

/// The table. The limits on evaluations are what the worse of the two nonlinear CGs and what K-FAC take, and a quarter.
/// The factors of K-FAC are the diagonal of G.
pub fn table() -> Vec<Row> {
    vec![
        quadratic("quadratic, condition 1", 1.0, (1e-12, [3, 4, 14, 5])),
        quadratic("quadratic, condition 1e2", 1e2, (1e-9, [115, 79, 13, 5])),
        quadratic("quadratic, condition 1e4", 1e4, (1e-9, [1460, 688, 32, 5])),
        Row { gradient_tolerance: 1e1, ..quadratic("quadratic, condition 1e6", 1e6, (1e0, [1872, 938, 17, 3])) },
        // from 1.6e8: six digits, since inexact line searches take tens of thousands of evaluations to the
        // minimum
        Row { gradient_tolerance: 3e2, ..quadratic("quadratic, condition 1e8", 1e8, (1e2, [2240, 954, 12, 3])) },
        rosenbrock("Rosenbrock, 2", vec![-1.2, 1.0], (1e-12, [105, 57, 62, 70])),
        rosenbrock("Rosenbrock, 10", vec![0.0; 10], (1e-12, [690, 85, 97, 312])),
        rosenbrock("Rosenbrock, 100", vec![0.0; 100], (1e-12, [1850, 730, 912, 598])),
        beale(),
        powell_singular(),
        regression((1e-9, [263, 117, 283, 149])),
        classification((1e-9, [227, 78, 307, 128])),
        logistic("logistic regression", (1e-9, [45, 28, 30, 13])),
        overflow(),
        logarithmic_barrier(),
        unit_interval(),
        Row {
            gradient_tolerance: 1e-7,
            ..Row::new(
                "x⁴",
                (vec![3.0], vec![0.0]),
                (1e-9, [14, 30, 30, 22]),
                |x, g| {
                    g[0] = 4.0 * x[0].powi(3);
                    x[0].powi(4)
                },
                |x| diagonal(&[12.0 * x[0] * x[0]]),
            )
            .vanishing()
        },
        Row::new(
            "constant",
            (vec![3.0], vec![-7.0]),
            (0.0, [1, 1, 1, 1]),
            |_, g| {
                g[0] = 0.0;
                5.0
            },
            |_| diagonal(&[0.0]),
        ),
    ]
}
