//! Sums of two tensors, and what becomes of them.

use crate::common::*;
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::sum::{Term, reference, sum};
use gpu_subset::shape::Shape;

/// Channels of y and of both terms: as many, fewer, more, and none of the second.
const CHANNELS: [[usize; 3]; 7] =
    [[1, 1, 1], [3, 3, 0], [17, 17, 17], [17, 5, 17], [16, 16, 8], [5, 17, 17], [9, 17, 3]];

/// By how many channels the terms are shifted: one after the other, into each other, beyond all.
const SHIFTS: [[isize; 2]; 3] = [[0, -5], [3, -1], [-17, 20]];

#[test]
fn sums_agree_with_the_reference_at_every_number_of_channels() {
    let mut rng = rng(31);
    for gpu in gpus() {
        let shifted = CHANNELS.into_iter().zip(SHIFTS.into_iter().cycle());
        let pairs: Vec<_> = CHANNELS.map(|of| (of, [0, 0])).into_iter().chain(shifted).collect();
        for (examples, [height, width]) in [(1, [1, 1]), (17, [1, 17]), (33, [5, 51]), (255, [3, 3])] {
            for ([c, c_a, c_b], [shift_a, shift_b]) in pairs.iter().copied() {
                let what =
                    format!("{c} channels of {c_a} ({shift_a}), {c_b} ({shift_b}), {height}×{width}, {examples}");
                let (shape, pixels) = (Shape::new(c, height, width), height * width);
                let [a, b] = [c_a, c_b].map(|channels| uniform(examples * channels * pixels, &mut rng));
                let of_pixels = |shift: isize| shift * pixels as isize;
                let terms = [(&a[..], of_pixels(shift_a)), (&b, of_pixels(shift_b))];
                let z = reference::sum(shape.len(), examples, &terms[..if c_b > 0 { 2 } else { 1 }]);
                let on_device = |term: &[f64], channels: usize| upload_blocks(&gpu, term, channels * pixels);
                let (a, b) = (on_device(&a, c_a), (c_b > 0).then(|| on_device(&b, c_b)));
                let terms = (Term { x: &a, shift: shift_a }, b.as_ref().map(|x| Term { x, shift: shift_b }));

                let y = unwritten_blocks(&gpu, examples, shape.len());
                let plain = sum(&gpu, shape, terms, &y, &Epilogue::default()).unwrap();
                run(&gpu, [plain]);
                assert_close(&what, &download_blocks(&gpu, &y, examples, shape.len()), &z, 1e-7);

                let mask = uniform(z.len(), &mut rng);
                for is_relu in [true, false] {
                    let values = upload_blocks(&gpu, &mask, shape.len());
                    let masked = Epilogue::masked(Some(&Mask { values, is_relu }));
                    let y = unwritten_blocks(&gpu, examples, shape.len());
                    run(&gpu, [sum(&gpu, shape, terms, &y, &masked).unwrap()]);
                    let of = |(z, m): (&f64, &f64)| if is_relu { z * f64::from(u8::from(*m > 0.0)) } else { z * m };
                    let want: Vec<f64> = z.iter().zip(&mask).map(of).collect();
                    assert_close(&what, &download_blocks(&gpu, &y, examples, shape.len()), &want, 2e-7);
                }
            }
        }
    }
}

#[test]
fn sums_end_in_an_activation_and_its_derivative() {
    let (mut rng, shape, examples) = (rng(32), Shape::new(5, 3, 7), 65);
    let [a, b] = [0; 2].map(|_| uniform(examples * shape.len(), &mut rng));
    let z = reference::sum(shape.len(), examples, &[(&a, 0), (&b, 0)]);
    for gpu in gpus() {
        let [a, b] = [&a, &b].map(|term| upload_blocks(&gpu, term, shape.len()));
        for f in Activation::ALL {
            let [y, derivative] = [0; 2].map(|_| unwritten_blocks(&gpu, examples, shape.len()));
            let found = gpu.upload("found", &[0u32]).unwrap();
            let epilogue = Epilogue {
                activation: Some(f),
                derivative: Some(derivative.clone()),
                found: Some(found.clone()),
                ..Epilogue::default()
            };
            run(&gpu, [sum(&gpu, shape, ((&a).into(), Some((&b).into())), &y, &epilogue).unwrap()]);
            let want: Vec<f64> = z.iter().map(|&z| activation::reference::forward(f, z)).collect();
            assert_close(f.name(), &download_blocks(&gpu, &y, examples, shape.len()), &want, 1e-6);
            let want: Vec<f64> = z.iter().map(|&z| activation::reference::derivative(f, z)).collect();
            assert_close(f.name(), &download_blocks(&gpu, &derivative, examples, shape.len()), &want, 1e-6);
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [0]);
        }
    }
}

#[test]
fn a_sum_that_is_not_finite_leaves_a_mark() {
    let shape = Shape::new(2, 3, 3);
    for gpu in gpus() {
        for (value, want) in [(1.0, 0), (f64::INFINITY, 1), (f64::NAN, 1)] {
            let mut a = vec![0.5; 40 * shape.len()];
            a[39 * shape.len() + 7] = value;
            let (a, y) = (upload_blocks(&gpu, &a, shape.len()), unwritten_blocks(&gpu, 40, shape.len()));
            let found = gpu.upload("found", &[0u32]).unwrap();
            let relu =
                Epilogue { activation: Some(Activation::Relu), found: Some(found.clone()), ..Epilogue::default() };
            run(&gpu, [sum(&gpu, shape, ((&a).into(), Some((&a).into())), &y, &relu).unwrap()]);
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [want], "{value}");
        }
    }
}
