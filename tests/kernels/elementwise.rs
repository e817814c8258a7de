//! Activations, gathering, finiteness.

use crate::common::*;
use gpu_subset::device::Gpu;
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::gather::{self, Normalisation, PADDING, Page};
use gpu_subset::kernels::{ceiling, copy_quads, finite};
use gpu_subset::shape::Shape;
use gpu_subset::values::{Values, ValuesRef};
use rand::RngExt;

/// Relative error of each value, for functions that promise digits and not only magnitude. Below 1e-30 any small value
/// will do.
fn assert_digits(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * w.abs() + 1e-30, "{what}: at {i} got {g:e}, want {w:e}");
    }
}

#[test]
fn activations_keep_their_digits_over_the_whole_range() {
    let mut rng = rng(7);
    // large and small magnitudes of either sign, and the seams of the approximations
    let mut x: Vec<f64> =
        (0..4000).map(|_| f64::from(rng.random_range(-1f32..1.0) * 10f32.powf(rng.random_range(-6f32..1.8)))).collect();
    x.extend([0.0, 0.625, -0.625, 0.624_999, 4.852, -4.852, 60.0, -60.0].map(|x: f64| f64::from(x as f32)));
    let v = uniform(x.len(), &mut rng);
    for gpu in gpus() {
        for f in Activation::ALL {
            let (x_buf, v_buf) = (upload_quads(&gpu, &x), upload_quads(&gpu, &v));
            let (y, out) = (unwritten_quads(&gpu, x.len()), unwritten_quads(&gpu, x.len()));
            run(
                &gpu,
                [
                    activation::forward(&gpu, f, &x_buf, &y).unwrap(),
                    activation::product(&gpu, f, &x_buf, &v_buf, &out).unwrap(),
                ],
            );
            let want: Vec<f64> = x.iter().map(|&x| activation::reference::forward(f, x)).collect();
            assert_digits(&format!("{f:?}"), &download_quads(&gpu, &y), &want, 1e-6);
            // 1 - tanh² and SiLU's derivative near its zero cancel: their error is against 1
            let want = activation::reference::product(f, &x, &v);
            assert_close(&format!("{f:?} product"), &download_quads(&gpu, &out), &want, 1e-6);
        }
    }
}

#[test]
fn activations_take_every_length() {
    let mut rng = rng(8);
    for gpu in gpus() {
        for len in [4, 17 * 4, 255 * 4, 257 * 4, 100_000] {
            let x = uniform(len, &mut rng);
            let (y, copy) = (unwritten_quads(&gpu, len), unwritten(&gpu, len));
            let relu = activation::forward(&gpu, Activation::Relu, &upload_quads(&gpu, &x), &y).unwrap();
            run(&gpu, [relu, copy_quads(&gpu, &y, &copy).unwrap()]);
            let want: Vec<f64> = x.iter().map(|x| x.max(0.0)).collect();
            assert_eq!(download_quads(&gpu, &y), want, "{len}");
            assert_eq!(download(&gpu, &copy), want, "{len}");
        }
    }
}

#[test]
fn gathering_agrees_with_the_reference_over_pages() {
    let mut rng = rng(10);
    for gpu in gpus() {
        for (batch, shape, most) in [
            (1usize, Shape::new(1, 1, 1), 1),
            (17, Shape::new(3, 5, 7), 2),
            (255, Shape::new(1, 8, 8), 3),
            (257, Shape::new(3, 5, 7), 1000),
        ] {
            let examples = 50;
            let bytes: Vec<u8> = (0..examples * shape.len()).map(|_| rng.random()).collect();
            let floats: Vec<f32> = bytes.iter().map(|&byte| 0.1 * f32::from(byte) - 5.0).collect();
            let mut index: Vec<u32> = (0..batch).map(|_| rng.random_range(0..examples as u32)).collect();
            index.resize(batch.next_multiple_of(gpu.profile.block), PADDING);
            let mean = uniform(shape.channels, &mut rng);
            let std: Vec<f64> = (0..shape.channels).map(|c| 50.0 + c as f64).collect();
            let statistics: Vec<(f64, f64)> = mean.iter().copied().zip(std.iter().copied()).collect();
            let by = Normalisation::upload(&gpu, &statistics).unwrap();
            let index_buf = gpu.upload("index", &index).unwrap();
            for images in [Values::from(bytes), floats.into()] {
                let x = unwritten_quads(&gpu, index.len() * shape.len());
                let pages = pages(&gpu, images.view(), shape, most);
                run(&gpu, pages.map(|page| gather::gather(&gpu, shape, &page, &index_buf, &by, &x).unwrap()));
                let want = gather::reference::gather(shape, images.view(), &index, &mean, &std);
                let got = download_blocks(&gpu, &x, index.len(), shape.len());
                assert_close(&format!("batch {batch}, {shape}, {}", images.kind()), &got, &want, 1e-6);
            }
        }
    }
}

/// Images in pages of at most so many vectors an image, filled up with what must not be read.
fn pages<'a>(gpu: &'a Gpu, images: ValuesRef<'a>, shape: Shape, most: usize) -> impl Iterator<Item = Page> + 'a {
    let kind = images.kind();
    let a_quad = 16 / kind.size();
    let quads = shape.len().div_ceil(a_quad);
    (0..quads).step_by(most).map(move |start| {
        let count = most.min(quads - start);
        let (first, last) = (a_quad * start, (a_quad * (start + count)).min(shape.len()));
        let mut data = Vec::new();
        for image in images.chunks(shape.len()) {
            match image.slice(first..last) {
                ValuesRef::Bytes(bytes) => data.extend_from_slice(bytes),
                ValuesRef::Floats(values) => values.iter().for_each(|value| data.extend(value.to_le_bytes())),
            }
            data.resize(data.len().next_multiple_of(16), 7);
        }
        Page { data: gpu.upload_quads("page", &data, true).unwrap(), kind, first, quads: count }
    })
}

#[test]
fn ceilings_compute_what_they_say() {
    let mut rng = rng(14);
    for gpu in gpus() {
        let x = uniform(256, &mut rng);
        let (x_buf, y, out) = (upload_quads(&gpu, &x), unwritten_quads(&gpu, 256), unwritten(&gpu, 64));
        let (arithmetic, _) = ceiling::arithmetic(&gpu, &x_buf, &out).unwrap();
        run(&gpu, [arithmetic, ceiling::copy(&gpu, &x_buf, &y).unwrap()]);
        let want: Vec<f64> =
            x.chunks_exact(4).map(|b| ceiling::reference::arithmetic([b[0], b[1], b[2], b[3]])).collect();
        // the factor is rounded once, and then a thousand times over
        assert_close("arithmetic", &download(&gpu, &out), &want, 5e-5);
        assert_eq!(download_quads(&gpu, &y), x);
    }
}

#[test]
fn every_value_that_is_not_finite_is_found_wherever_it_is() {
    for gpu in gpus() {
        for len in [4, 68, 1020, 100_000] {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [None, Some(0), Some(len / 2), Some(len - 1)] {
                    let mut x = vec![f32::MAX; len];
                    at.into_iter().for_each(|at: usize| x[at] = bad);
                    let found = gpu.upload("found", &[0u32]).unwrap();
                    run(&gpu, [finite::check(&gpu, &gpu.upload("x", &x).unwrap(), &found).unwrap()]);
                    let got = gpu.read::<u32>(&found).unwrap()[0] == 1;
                    assert_eq!(got, finite::reference::check(&x), "{bad} at {at:?} of {len}");
                }
            }
        }
    }
}
