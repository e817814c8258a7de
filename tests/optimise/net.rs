//! Two small nets of tanh units with weight decay, and logistic regression.

use crate::problem::*;
use std::rc::Rc;

/// f, ∇f and G at x.
type Expansion = (f64, Vec<f64>, Matrix);

fn row(
    name: &'static str,
    points: (Vec<f64>, Vec<f64>),
    limits: (f64, [usize; 4]),
    evaluate: impl Fn(&[f64]) -> Expansion + 'static,
) -> Row {
    let evaluate = Rc::new(evaluate);
    let curvature = evaluate.clone();
    let function = move |x: &[f64], g: &mut [f64]| {
        let (loss, gradient, _) = evaluate(x);
        g.copy_from_slice(&gradient);
        loss
    };
    Row::new(name, points, limits, function, move |x| curvature(x).2)
}

/// Logistic regression on 200 synthetic examples of 8 features, mean loss + ½ 10⁻² ‖x‖². Newton's method
/// gives the minimum.
pub fn logistic(name: &'static str, limits: (f64, [usize; 4])) -> Row {
    const N: usize = 8;
    const DECAY: f64 = 1e-2;
    let mut random = Uniform(7);
    let examples: Vec<([f64; N], f64)> = (0..200)
        .map(|_| {
            let a: [f64; N] = std::array::from_fn(|j| random.next() * 2f64.powi(j as i32 - 4));
            let noisy = a[6] - a[7] + 0.3 + 2.0 * random.next();
            (a, noisy.signum())
        })
        .collect();
    let evaluate = move |x: &[f64]| {
        let mut loss = 0.5 * DECAY * dot(x, x);
        let mut gradient: Vec<f64> = x.iter().map(|x| DECAY * x).collect();
        let mut hessian = diagonal(&[DECAY; N]);
        for (a, label) in &examples {
            let p = 1.0 / (1.0 + (label * dot(a, x)).exp()); // of the wrong label
            loss -= (1.0 - p).ln() / 200.0;
            gradient.iter_mut().zip(a).for_each(|(g, a)| *g -= p * label * a / 200.0);
            add_outer(&mut hessian, p * (1.0 - p) / 200.0, a);
        }
        (loss, gradient, hessian)
    };
    let mut x = vec![0.0; N];
    for _ in 0..20 {
        let (_, gradient, hessian) = evaluate(&x);
        x.iter_mut().zip(solve(hessian, gradient)).for_each(|(x, step)| *x -= step);
    }
    row(name, (vec![0.0; N], x), limits, evaluate)
}

/// A⁻¹b for a positive definite A, by elimination.
fn solve(mut a: Matrix, mut b: Vec<f64>) -> Vec<f64> {
    for i in 0..b.len() {
        let pivot = a[i].clone();
        for j in (0..b.len()).filter(|&j| j != i) {
            let factor = a[j][i] / pivot[i];
            a[j].iter_mut().zip(&pivot).for_each(|(a, p)| *a -= factor * p);
            b[j] -= factor * b[i];
        }
    }
    b.iter().enumerate().map(|(i, b)| b / a[i][i]).collect()
}

/// What a net is trained for.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    /// ½‖z − y‖²
    Squares,
    /// −ln softmax(z)ᵀy
    CrossEntropy,
}

/// 30 random examples: a net 3-4-2 for two smooth functions of three inputs, by least squares. The minimum is
/// where runs of all methods end that are as exact as f64 allows.
pub fn regression(limits: (f64, [usize; 4])) -> Row {
    let mut random = Uniform(3);
    let examples = (0..30).map(|_| {
        let a: Vec<f64> = (0..3).map(|_| 2.0 * random.next()).collect();
        let y = vec![(1.5 * a[0] - a[1]).sin() + 0.1 * random.next(), a[1] * a[2] / 2.0 - a[0] / 3.0];
        (a, y)
    });
    net("net 3-4-2, squares", &[3, 4, 2], Loss::Squares, examples.collect(), from(7, &REGRESSION), limits)
}

/// 30 random examples: a net 2-5-3 for three classes around the origin, by cross-entropy.
pub fn classification(limits: (f64, [usize; 4])) -> Row {
    let mut random = Uniform(11);
    let examples = (0..30).map(|_| {
        let a = vec![2.0 * random.next(), 2.0 * random.next()];
        let angle = a[1].atan2(a[0]) + 0.3 * random.next();
        let class = if angle < -1.0 { 0 } else { 1 + usize::from(angle > 1.0) };
        (a, (0..3).map(|c| f64::from(u8::from(c == class))).collect())
    });
    net(
        "net 2-5-3, cross-entropy",
        &[2, 5, 3],
        Loss::CrossEntropy,
        examples.collect(),
        from(1, &CLASSIFICATION),
        limits,
    )
}

/// One of the random starts from which every method finds the same minimum, and that.
fn from(seed: u64, minimiser: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut random = Uniform(seed);
    (minimiser.iter().map(|_| 0.7 * random.next()).collect(), minimiser.to_vec())
}

/// The mean loss of a net of tanh units and linear outputs + ½ 10⁻² ‖x‖². Each layer has its weights in x,
/// then its biases.
fn net(
    name: &'static str,
    sizes: &'static [usize],
    loss: Loss,
    examples: Vec<(Vec<f64>, Vec<f64>)>,
    points: (Vec<f64>, Vec<f64>),
    limits: (f64, [usize; 4]),
) -> Row {
    const DECAY: f64 = 1e-2;
    let evaluate = move |x: &[f64]| {
        let share = 1.0 / examples.len() as f64;
        let mut mean = 0.5 * DECAY * dot(x, x);
        let mut gradient: Vec<f64> = x.iter().map(|x| DECAY * x).collect();
        let mut matrix = diagonal(&vec![DECAY; x.len()]);
        for (a, y) in &examples {
            let (z, jacobian) = outputs(sizes, x, a);
            // of the loss with respect to z: its value, its gradient, and the weights and vectors of its Hessian
            let scale = z.iter().map(|z| z.exp()).sum::<f64>();
            let p: Vec<f64> = z.iter().map(|z| z.exp() / scale).collect();
            let (value, estimate) = match loss {
                Loss::Squares => (z.iter().zip(y).map(|(z, y)| 0.5 * (z - y).powi(2)).sum::<f64>(), &z),
                Loss::CrossEntropy => (-dot(&p, y).ln(), &p),
            };
            mean += share * value;
            let mut expected = vec![0.0; x.len()]; // Jᵀp
            for (o, row) in jacobian.iter().enumerate() {
                let residual = share * (estimate[o] - y[o]);
                gradient.iter_mut().zip(row).for_each(|(g, j)| *g += residual * j);
                expected.iter_mut().zip(row).for_each(|(e, j)| *e += p[o] * j);
                add_outer(&mut matrix, share * if loss == Loss::Squares { 1.0 } else { p[o] }, row);
            }
            if loss == Loss::CrossEntropy {
                add_outer(&mut matrix, -share, &expected);
            }
        }
        (mean, gradient, matrix)
    };
    Row { exact: false, ..row(name, points, limits, evaluate) }
}

/// The outputs z for the input a, and a row of ∂z/∂x for each.
fn outputs(sizes: &[usize], x: &[f64], a: &[f64]) -> (Vec<f64>, Matrix) {
    let layers = sizes.len() - 1;
    let mut activations = vec![a.to_vec()];
    let mut offsets = vec![0];
    for l in 0..layers {
        let (n, m) = (sizes[l], sizes[l + 1]);
        let (weights, biases) = x[offsets[l]..].split_at(n * m);
        let sums = weights.chunks(n).zip(biases).map(|(row, bias)| dot(row, &activations[l]) + bias);
        activations.push(sums.map(|z| if l + 1 < layers { z.tanh() } else { z }).collect());
        offsets.push(offsets[l] + (n + 1) * m);
    }
    let back = |o: usize| {
        let mut derivatives = vec![0.0; x.len()];
        let mut delta: Vec<f64> = (0..sizes[layers]).map(|i| f64::from(u8::from(i == o))).collect();
        for l in (0..layers).rev() {
            let (n, m) = (sizes[l], sizes[l + 1]);
            let (weights, input) = (&x[offsets[l]..][..n * m], &activations[l]);
            for (i, d) in delta.iter().enumerate() {
                (0..n).for_each(|j| derivatives[offsets[l] + i * n + j] = d * input[j]);
                derivatives[offsets[l] + n * m + i] = *d;
            }
            let sum = |j: usize| delta.iter().enumerate().map(|(i, d)| d * weights[i * n + j]).sum::<f64>();
            delta = (0..n).map(|j| sum(j) * (1.0 - input[j] * input[j])).collect();
        }
        derivatives
    };
    (activations[layers].clone(), (0..sizes[layers]).map(back).collect())
}

#[rustfmt::skip]
const REGRESSION: [f64; 26] = [
    -0.28533597313246567, 0.6534556653234573, 0.5389934218623321, -0.2666066024844297, -0.6003646954260652,
    -0.6054830873836825, 0.45971769572253474, -0.3521674669629822, 0.02148215542881846, 1.49343606582162,
    -1.0239631378021576, -0.040158869320521685, -0.9240338502008081, -0.6092643198747351, -0.7417467490678686,
    -0.1864709121139572, 0.35019944547887644, 0.15290337165176285, -1.5075993406611765, 1.4377474541142166,
    1.2174615317304183, 1.0353062474728922, -0.39129360041295885, 0.07862382663568938, -0.49860040254375426,
    0.8347373912382147,
];

#[rustfmt::skip]
const CLASSIFICATION: [f64; 33] = [
    -0.884048881941898, 0.8925656663139346, 0.9336361771091752, 0.2623102715192054, 0.8840488819418904,
    -0.8925656663139294, -0.7288279848893772, -1.19185540686117, 0.9336361771091813, 0.2623102715192186,
    -0.5788567083515282, -0.18333070690468337, 0.5788567083515199, -0.9159218819600268, -0.1833307069046698,
    -0.672928725001238, -0.654869621965039, 0.672928725001231, 1.6258873365738955, -0.6548696219650499,
    -0.7091001051023843, 1.0798377446820184, 0.7091001051023863, -0.9251897055022975, 1.0798377446820193,
    1.3820288301036372, -0.42496812271697076, -1.3820288301036225, -0.7006976310715869, -0.4249681227169693,
    -0.1784102268934218, 0.08930614119590435, 0.08910408569751463,
];
