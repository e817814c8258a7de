//! Matrices orthogonalised, and the update of Muon around it.

use crate::common::*;
use gpu_subset::device::Gpu;
use gpu_subset::kernels::muon::{self, MuonRoom};
use gpu_subset::kernels::newton_schulz::{NewtonSchulz, Squares, multiply_adds, reference};
use gpu_subset::update::{AdamUpdate, Matrix, MuonUpdate};

const SHAPES: [[usize; 2]; 9] =
    [[1, 1], [1, 17], [17, 255], [257, 33], [64, 576], [96, 864], [33, 33], [7, 1], [32, 64]];

/// Matrices of these shapes in a vector with a few other words before each, and its length.
fn matrices(shapes: &[[usize; 2]]) -> (Vec<Matrix>, usize) {
    let mut end = 0;
    let place = |&[rows, columns]: &[usize; 2]| {
        let matrix = Matrix { start: end + 5, rows, columns };
        end = matrix.range().end;
        matrix
    };
    let matrices = shapes.iter().map(place).collect();
    (matrices, (end + 1).next_multiple_of(64))
}

/// Their words' squares in so many parts.
fn squares(gpu: &Gpu, matrices: &[Matrix], u: &[f64], parts: usize) -> Squares {
    let part =
        |matrix: &Matrix, part: usize| u[matrix.range()].iter().skip(part).step_by(parts).map(|u| u * u).sum::<f64>();
    let sums: Vec<f64> = matrices.iter().flat_map(|matrix| (0..parts).map(|i| part(matrix, i))).collect();
    Squares { sums: upload(gpu, &sums), parts }
}

/// The singular values of a matrix, by one-sided Jacobi rotations of the rows of its shorter side.
fn singular_values(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    let [short, long] = matrix.sides();
    let at = |i: usize, j: usize| if matrix.rows <= matrix.columns { i * long + j } else { j * short + i };
    let mut rows: Vec<Vec<f64>> = (0..short).map(|i| (0..long).map(|j| x[at(i, j)]).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for _ in 0..12 {
        for (p, q) in (0..short).flat_map(|p| (p + 1..short).map(move |q| (p, q))) {
            let (a, b, c) = (dot(&rows[p], &rows[p]), dot(&rows[q], &rows[q]), dot(&rows[p], &rows[q]));
            if c.abs() <= 1e-12 * (a * b).sqrt() {
                continue;
            }
            let zeta = (b - a) / (2.0 * c);
            let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
            let cos = 1.0 / (1.0 + t * t).sqrt();
            let (before, from) = rows.split_at_mut(q);
            for (x, y) in before[p].iter_mut().zip(&mut from[0]) {
                (*x, *y) = (cos * (*x - t * *y), cos * (t * *x + *y));
            }
        }
    }
    rows.iter().map(|row| dot(row, row).sqrt()).collect()
}

#[test]
fn singular_values_come_near_one_and_the_matrix_near_the_reference() {
    let mut rng = rng(81);
    let (matrices, len) = matrices(&SHAPES);
    for gpu in gpus() {
        // in several arrays, too
        for most in [gpu.max_quads_words(), 200_000] {
            let u = uniform(len, &mut rng);
            let buf = unwritten(&gpu, len);
            let sums = squares(&gpu, &matrices, &u, 3);
            let room = NewtonSchulz::within(&gpu, &matrices, most).unwrap();
            let steps = room.orthogonalise(&gpu, &buf, &sums).unwrap();
            run(&gpu, steps.clone()); // leaves what is no number everywhere
            gpu.write(&buf, &u.iter().map(|&u| u as f32).collect::<Vec<_>>());
            run(&gpu, steps.clone());
            let found: Vec<Vec<f32>> = (0..matrices.len()).map(|i| room.read(&gpu, i).unwrap()).collect();
            for (i, matrix) in matrices.iter().enumerate() {
                let what = format!("{matrix:?}, {:?}", gpu.profile);
                let got: Vec<f64> = found[i].iter().map(|&x| f64::from(x)).collect();
                // a square one has singular values that are small; squared they are rounded to 1e-7 of the largest
                let is_square = matrix.rows == matrix.columns && matrix.rows > 1;
                let (tolerance, least) = if is_square { (5e-2, 0.0) } else { (1e-3, 0.6) };
                assert_close(&what, &got, &reference::orthogonalise(matrix, &u[matrix.range()]), tolerance);
                let values = singular_values(matrix, &got);
                assert!(values.iter().all(|value| (least..=1.3).contains(value)), "{what}: {values:?}");
            }
            run(&gpu, steps);
            let again = (0..matrices.len()).map(|i| room.read(&gpu, i).unwrap());
            assert!(again.zip(&found).all(|(again, found)| again == *found), "the same bits");
        }
    }
}

#[test]
fn zero_stays_zero_and_small_numbers_are_orthogonalised() {
    let mut rng = rng(82);
    let (matrices, len) = matrices(&[[17, 40], [40, 17], [3, 8]]);
    for gpu in gpus() {
        for scale in [0.0, 1e-12, 1e12] {
            let u: Vec<f64> = uniform(len, &mut rng).iter().map(|u| f64::from((scale * u) as f32)).collect();
            let room = NewtonSchulz::new(&gpu, &matrices).unwrap();
            let sums = squares(&gpu, &matrices, &u, 1);
            run(&gpu, room.orthogonalise(&gpu, &upload(&gpu, &u), &sums).unwrap());
            for (i, matrix) in matrices.iter().enumerate() {
                let got: Vec<f64> = room.read(&gpu, i).unwrap().into_iter().map(f64::from).collect();
                let want = reference::orthogonalise(matrix, &u[matrix.range()]);
                assert_close(&format!("{scale:e} {matrix:?}"), &got, &want, 1e-3);
                assert!(scale != 0.0 || got.iter().all(|x| *x == 0.0), "{got:?}");
            }
        }
    }
}

#[test]
fn updates_agree_with_the_reference_step_after_step() {
    let mut rng = rng(83);
    for shapes in [&SHAPES[..6], &[[40, 70], [9, 300]], &[]] {
        let (matrices, len) = matrices(shapes);
        for (gpu, hold) in gpus().into_iter().flat_map(|gpu| [(gpu, false)]).chain(gpu().map(|gpu| (gpu, true))) {
            let start = uniform(len, &mut rng);
            let norms: Vec<f64> = matrices.iter().map(|matrix| matrix.norm(&start)).collect();
            let mut first = vec![0.0; len];
            first[..norms.len()].copy_from_slice(&norms);
            let [x, norms] = [&start, &first].map(|of| upload(&gpu, of));
            let [v, s] = [(); 2].map(|()| upload(&gpu, &vec![0.0; len]));
            let (g, coefficients) = (unwritten(&gpu, len), unwritten(&gpu, 8));
            let (mut want, mut want_v, mut want_s) = (start.clone(), vec![0.0; len], vec![0.0; len]);
            let muon = MuonRoom::new(&gpu, &matrices, len).unwrap();
            let steps = muon.update(&gpu, &coefficients, &g, [&v, &s, &norms], &x, hold).unwrap();
            for rate in [0.02, 0.2, 0.1] {
                let others = AdamUpdate { beta1: 0.9, beta2: 0.999, step: rate / 10.0, epsilon: 1e-8 };
                let by = MuonUpdate { momentum: 0.9, rate, hold, others };
                let gradient = uniform(len, &mut rng);
                gpu.write(&g, &gradient.iter().map(|&g| g as f32).collect::<Vec<_>>());
                gpu.write(&coefficients, &by.words());
                run(&gpu, steps.clone());
                muon::reference::update(&by, &matrices, &gradient, [&mut want_v, &mut want_s, &mut first], &mut want);
            }
            let what = |of: &str| format!("{of} of {shapes:?}, {:?}", gpu.profile);
            assert_close(&what("v"), &download(&gpu, &v), &want_v, 1e-6);
            assert_close(&what("s"), &download(&gpu, &s), &want_s, 1e-6);
            assert_close(&what("x"), &download(&gpu, &x), &want, 2e-4);
            for matrix in matrices.iter().filter(|_| hold) {
                let now = matrix.norm(&download(&gpu, &x));
                assert!((now / matrix.norm(&start) - 1.0).abs() <= 1e-6, "{}", what("the norm"));
            }
        }
    }
}

#[test]
fn work_is_counted_by_the_products() {
    let (matrices, _) = matrices(&[[2, 5], [5, 2]]);
    // 2 · 2² · 5 and 18 · 2³
    assert_eq!(multiply_adds(&matrices), 2 * (40 + 144));
    assert_eq!(multiply_adds(&[Matrix { start: 0, rows: usize::MAX, columns: usize::MAX }]), u64::MAX);
}
