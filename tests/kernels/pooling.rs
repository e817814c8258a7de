//! Max, average and global-average pooling.

use crate::common::*;
use gpu_subset::kernels::pool::{self, Pool, reference};
use gpu_subset::shape::Shape;

fn cases() -> Vec<(usize, Pool)> {
    let batches = [1, 17, 257];
    let channels = [1, 3, 17];
    let images = [(1, 1), (5, 7), (28, 28), (32, 32)];
    let windows = [(1, 1), (2, 2), (3, 3), (5, 5), (7, 7)];
    let case = |levels: &[usize]| {
        let ((h, w), (height, width)) = (images[levels[2]], windows[levels[3]]);
        let input = Shape::new(channels[levels[1]], h, w);
        (batches[levels[0]], Pool { input, height, width, stride: levels[4] + 1, padding: levels[5] })
    };
    let valid = |levels: &[usize]| {
        let (batch, pool) = case(levels);
        batch * pool.input.len() <= 500_000 && pool.output().is_some()
    };
    let levels = [batches.len(), channels.len(), images.len(), windows.len(), 3, 4];
    pairwise(&levels, valid).iter().map(|levels| case(levels)).collect()
}

/// Values on a coarse grid, so that windows have ties.
fn with_ties(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(|x| (4.0 * x).round() / 4.0).collect()
}

#[test]
fn max_pooling_agrees_with_the_reference_ties_included() {
    let mut rng = rng(5);
    for gpu in gpus() {
        for (batch, pool) in cases() {
            let what = format!("batch {batch}, {pool:?}");
            let (inputs, outputs) = (pool.input.len(), pool.output().unwrap().len());
            let x = with_ties(uniform(batch * inputs, &mut rng));
            let v = uniform(batch * inputs, &mut rng);
            let dy = uniform(batch * outputs, &mut rng);
            let (x_buf, v_buf) = (upload_blocks(&gpu, &x, inputs), upload_blocks(&gpu, &v, inputs));
            let dy_buf = upload_blocks(&gpu, &dy, outputs);

            let (y, ty) = (unwritten_blocks(&gpu, batch, outputs), unwritten_blocks(&gpu, batch, outputs));
            let dx = unwritten_blocks(&gpu, batch, inputs);
            run(
                &gpu,
                [
                    pool::max_select(&gpu, &pool, &x_buf, &x_buf, &y).unwrap(),
                    pool::max_select(&gpu, &pool, &x_buf, &v_buf, &ty).unwrap(),
                    pool::max_vjp(&gpu, &pool, &x_buf, &dy_buf, &dx, None).unwrap(),
                ],
            );
            assert_eq!(
                download_blocks(&gpu, &y, batch, outputs),
                reference::max_select(&pool, &x, &x),
                "forward, {what}"
            );
            assert_eq!(download_blocks(&gpu, &ty, batch, outputs), reference::max_select(&pool, &x, &v), "jvp, {what}");
            let want = reference::max_vjp(&pool, &x, &dy);
            assert_close(&format!("vjp, {what}"), &download_blocks(&gpu, &dx, batch, inputs), &want, 1e-6);
        }
    }
}

#[test]
fn average_pooling_agrees_with_the_reference_global_included() {
    let mut rng = rng(6);
    let global = |(h, w)| Pool { input: Shape::new(5, h, w), height: h, width: w, stride: 1, padding: 0 };
    for gpu in gpus() {
        let globals = [(1, 1), (5, 7), (28, 28)].map(|image| (17, global(image)));
        for (batch, pool) in cases().into_iter().chain(globals) {
            let what = format!("batch {batch}, {pool:?}");
            let (inputs, outputs) = (pool.input.len(), pool.output().unwrap().len());
            let x = uniform(batch * inputs, &mut rng);
            let dy = uniform(batch * outputs, &mut rng);
            let y = unwritten_blocks(&gpu, batch, outputs);
            let dx = unwritten_blocks(&gpu, batch, inputs);
            run(
                &gpu,
                [
                    pool::avg_forward(&gpu, &pool, &upload_blocks(&gpu, &x, inputs), &y).unwrap(),
                    pool::avg_vjp(&gpu, &pool, &upload_blocks(&gpu, &dy, outputs), &dx, None).unwrap(),
                ],
            );
            let want = reference::avg_forward(&pool, &x);
            assert_close(&format!("forward, {what}"), &download_blocks(&gpu, &y, batch, outputs), &want, 2e-6);
            let want = reference::avg_vjp(&pool, &dy);
            assert_close(&format!("vjp, {what}"), &download_blocks(&gpu, &dx, batch, inputs), &want, 2e-6);
        }
    }
}
