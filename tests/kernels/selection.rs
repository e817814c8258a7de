//! The choice of examples, bringing them together, and the grids that follow their number.

use crate::common::*;
use gpu_subset::device::{ALIGNMENT, BlockCount, GridRequest, Quads};
use gpu_subset::kernels::gather::PADDING;
use gpu_subset::kernels::selection::{self, Kept, reference};
use gpu_subset::kernels::{from_blocks, live, to_blocks};
use rand::RngExt;
use rand::seq::SliceRandom;
use std::sync::Arc;

#[test]
fn philox_is_that_of_its_authors() {
    // known answers of Random123 (kat_vectors, philox 4x32 10)
    let ones = u32::MAX;
    assert_eq!(reference::philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(reference::philox([ones; 4], [ones; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    let (counter, key) = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
    assert_eq!(reference::philox(counter, key), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
}

#[test]
fn the_examples_kept_are_those_of_the_reference() {
    let mut rng = rng(61);
    for gpu in gpus() {
        for examples in [1, 17, 64, 192, 255, 257, 2048] {
            for (step, smallest) in [(0, 1.0), (7, 1e-2), (8, 1e-6)] {
                // uneven scores: few large ones
                let score: Vec<f64> =
                    (0..examples).map(|_| f64::from(rng.random_range(0f32..1.0).powi(4).max(smallest))).collect();
                let index: Vec<u32> = (0..examples).map(|_| rng.random_range(0..60_000)).collect();
                let label: Vec<u32> = (0..examples).map(|_| rng.random_range(0..10)).collect();
                let key = [rng.random(), rng.random()];
                let padded = |values: &[u32], padding: u32| {
                    gpu.upload("test", &to_blocks(values, 1, gpu.profile.block, padding)).unwrap()
                };
                let bits = |values: &[f64]| values.iter().map(|&x| (x as f32).to_bits()).collect::<Vec<_>>();
                let (index_buf, label_buf) = (padded(&index, PADDING), padded(&label, 0));
                let weight_buf = padded(&bits(&vec![0.5; examples]), 0);
                let tau = reference::threshold(&score);
                let is_given = step == 8;
                let given = if is_given { (tau as f32).to_bits() } else { 0 };
                let draw = gpu.upload("draw", &[key[0], key[1], step, examples as u32, given]).unwrap();
                let kept = Kept::new(&gpu, index_buf.len()).unwrap();
                let live = BlockCount::new(&gpu).unwrap();
                let of_batch = [&index_buf, &label_buf, &weight_buf];
                let by = (&draw, is_given);
                run(&gpu, [selection::choose(&gpu, &padded(&bits(&score), 0), of_batch, by, &kept, &live).unwrap()]);

                // whose number is so near to its probability that rounding decides may be kept or not
                let is_clear = |n: usize| {
                    let u = reference::uniform(index[n], step, key);
                    (u * tau - score[n]).abs() > 1e-4 * score[n]
                };
                let count = gpu.read::<u32>(&kept.count).unwrap()[0] as usize;
                assert_eq!(gpu.read::<u32>(&live.blocks).unwrap()[0] as usize, count.div_ceil(gpu.profile.block));
                let position: Vec<u32> = gpu.read(&kept.position).unwrap();
                let (real, padding) = position.split_at(count);
                assert!(real.is_sorted_by(|a, b| a < b), "in order, each once");
                let want = reference::choose(&score, &index, step, key);
                for &(n, factor) in &want {
                    let Some(at) = real.iter().position(|&p| p as usize == n) else {
                        assert!(!is_clear(n), "{examples}: {n} is missing");
                        continue;
                    };
                    let weight = gpu.read::<f32>(&kept.weight).unwrap()[at];
                    assert!((f64::from(weight) - 0.5 * factor).abs() <= 1e-4 * factor, "{weight} {factor}");
                    assert_eq!(0.5 * gpu.read::<f32>(&kept.inverse).unwrap()[at], weight);
                    assert_eq!(gpu.read::<u32>(&kept.index).unwrap()[at], index[n]);
                    assert_eq!(gpu.read::<u32>(&kept.label).unwrap()[at], label[n]);
                }
                let extra = real.iter().filter(|&&p| !want.iter().any(|(n, _)| *n == p as usize));
                extra.for_each(|&p| assert!(!is_clear(p as usize), "{examples}: {p} is too many"));
                assert!(padding.iter().all(|&p| p == 0));
                let index: Vec<u32> = gpu.read(&kept.index).unwrap();
                assert!(index[count..].iter().all(|&i| i == PADDING));
                for words in [&kept.weight, &kept.inverse] {
                    assert!(gpu.read::<f32>(words).unwrap()[count..].iter().all(|&w| w == 0.0));
                }
            }
        }
    }
}

#[test]
fn chosen_rows_are_brought_together_as_far_as_they_are_in_use() {
    let mut rng = rng(62);
    for gpu in gpus() {
        let block = gpu.profile.block;
        for (examples, features) in [(1, 1), (17, 17), (255, 10), (257, 1152), (64, 257)] {
            let x = uniform(examples * features, &mut rng);
            let from = upload_blocks(&gpu, &x, features);
            let padded = examples.next_multiple_of(block);
            let mut position: Vec<u32> = (0..examples as u32).collect();
            position.shuffle(&mut rng);
            position.resize(padded, 0);
            let row = |p: u32| x[p as usize * features..][..features].to_vec();
            for used in [padded / block, (padded / block).div_ceil(2)] {
                let live = Arc::new(BlockCount::new(&gpu).unwrap());
                gpu.write(&live.blocks, &[used as u32]);
                let y = unwritten_blocks(&gpu, examples, features).counted(&live);
                let (pairs, on_device) = ([(from.clone(), y.clone())], gpu.upload("test", &position).unwrap());
                let rows = selection::rows(&gpu, &pairs, &on_device).unwrap();
                run(&gpu, live::grids(&gpu, &live).unwrap().into_iter().chain(rows));
                let want: Vec<f64> = position[..used * block].iter().flat_map(|&p| row(p)).collect();
                let got = download_quads(&gpu, &y);
                let (written, rest) = got.split_at(used * block * features);
                assert_eq!(written, to_blocks(&want, features, block, 0.0), "{examples} of {features}");
                assert!(rest.iter().all(|x| x.is_nan()), "blocks that are not in use are not touched");
            }
        }
    }
}

/// Views of two arrays, of a third, and of the first again, brought together in two arrays.
#[test]
fn rows_of_several_arrays_are_brought_together() {
    let mut rng = rng(83);
    for gpu in gpus() {
        let block = gpu.profile.block;
        let padded = 2 * block;
        let position: Vec<u32> = (0..padded as u32).map(|n| n * 7 % padded as u32).collect();
        let features = [3, 17, 1, 255, 5];
        let lens = features.map(|features| features * padded);
        let alloc = |lens: &[usize]| gpu.alloc_quads_together("test", lens).unwrap();
        let (first, second, third) = (alloc(&[lens[0], lens[2], lens[4]]), alloc(&[lens[1]]), alloc(&[lens[3]]));
        let x = [&first[0], &second[0], &first[1], &third[0], &first[2]];
        let (few, others) = (alloc(&lens[..3]), alloc(&lens[3..]));
        let y: Vec<Quads> = few.into_iter().chain(others).collect();
        let values = lens.map(|len| uniform(len, &mut rng));
        let in_order: Vec<u32> = (0..padded as u32).collect();
        let in_order = gpu.upload("test", &in_order).unwrap();
        for (x, values) in x.into_iter().zip(&values) {
            run(&gpu, selection::rows(&gpu, &[(upload_quads(&gpu, values), x.clone())], &in_order).unwrap());
        }
        let pairs: Vec<_> = x.into_iter().cloned().zip(y.iter().cloned()).collect();
        let steps = selection::rows(&gpu, &pairs, &gpu.upload("test", &position).unwrap()).unwrap();
        assert_eq!(steps.len(), 2, "by the arrays that they go to");
        run(&gpu, steps);
        for ((y, values), features) in y.iter().zip(&values).zip(features) {
            let plain = from_blocks(values, features, block, padded);
            let want: Vec<f64> =
                position.iter().flat_map(|&p| plain[p as usize * features..][..features].to_vec()).collect();
            assert_eq!(download_quads(&gpu, y), to_blocks(&want, features, block, 0.0), "{features} features");
        }
    }
}

#[test]
fn grids_follow_the_count() {
    for gpu in gpus() {
        let live = Arc::new(BlockCount::new(&gpu).unwrap());
        let quads = unwritten_blocks(&gpu, 1, 4).counted(&live);
        let mut asked = Vec::new();
        // more than share a buffer
        for most in [[1, 1, 1], [3, 5, 7], [17, 255, 257]].repeat(60) {
            for (side, per) in [(0, 1), (1, 8), (2, 3)] {
                quads.grid(&gpu, most, side, per).unwrap();
                asked.push(GridRequest { most, side, per });
            }
        }
        let grids = live::grids(&gpu, &live).unwrap();
        for blocks in [0, 1, 17, 255] {
            gpu.write(&live.blocks, &[blocks as u32]);
            run(&gpu, grids.clone());
            let buffers = live.asked();
            assert!(buffers.len() > 1 && buffers.iter().map(|(asked, _)| asked.len()).sum::<usize>() == asked.len());
            let words: Vec<u32> = buffers.iter().flat_map(|(_, words)| gpu.read::<u32>(words).unwrap()).collect();
            for (asked, words) in asked.iter().zip(words.chunks(ALIGNMENT)) {
                let want = live::reference::grid(asked, blocks);
                assert_eq!(words[..3], want.map(|n| n as u32), "{asked:?} with {blocks}");
            }
        }
    }
}
