//! What goes wrong on a device is an error that says so, never a panic.

mod common;

use common::*;
use gpu_subset::device::{AdapterChoice, Gpu};
use gpu_subset::error::{DeviceError, Error, MemoryError};
use gpu_subset::kernels::vector;
use gpu_subset::program::{Dispatch, Program, Shader};

#[test]
fn memory_comes_back_as_it_went_in() {
    for gpu in gpus() {
        for len in [1, 3, 4, 255, 100_000] {
            let values: Vec<u32> = (0..len).collect();
            let buf = gpu.upload("values", &values).unwrap();
            assert_eq!(gpu.read::<u32>(&buf).unwrap(), values);
        }
        let buf = gpu.upload("values", &(0..256u32).collect::<Vec<_>>()).unwrap();
        assert_eq!(gpu.read::<u32>(&buf.view(64..67)).unwrap(), [64, 65, 66]);
        for len in [4, 1000, 32_768, 32_772, 2_000_000] {
            let values: Vec<u32> = (0..len).collect();
            let quads = gpu.upload_quads("values", &values, true).unwrap();
            assert_eq!(gpu.read_quads::<u32>(&quads).unwrap(), values);
            assert_eq!(gpu.read_quads::<u32>(&quads.prefix(4)).unwrap(), values[..4]);
        }
        let copy = gpu.alloc("copy", 3).unwrap();
        gpu.copy(&buf.view(128..131), &copy);
        assert_eq!(gpu.read::<u32>(&copy).unwrap(), [128, 129, 130]);
    }
}

#[test]
fn programs_that_share_a_submission_run_in_the_order_in_which_they_were_asked_for() {
    for gpu in gpus() {
        let fill = |value: f32| vec![value; 64];
        let [x, y, copy, late] = ["x", "y", "copy", "late"].map(|name| gpu.upload(name, &fill(0.0)).unwrap());
        let adds = gpu.upload("by", &[1f32, 1.0]).unwrap();
        let add = |x, y| {
            let mut program = Program::default();
            program.push(vector::axpby(&gpu, &adds, x, y).unwrap());
            program
        };
        let (to_y, to_late) = (add(&x, &y), add(&copy, &late));
        let mut expected = [0.0, 0.0];
        // compiled, then timed, then short enough to wait for others
        for round in 1..=20 {
            gpu.write(&x, &fill(round as f32)); // what waits still reads the value before
            to_y.run(&gpu).unwrap();
            gpu.copy(&y, &copy);
            to_late.run_between(&gpu, &[(&y, &copy)], &[(&late, &x)]).unwrap();
            to_y.run(&gpu).unwrap(); // adds what was copied to x
            expected[0] += round as f32;
            expected[1] += expected[0];
            expected[0] += expected[1];
        }
        let found = [&y, &late].map(|buf| gpu.read::<f32>(buf).unwrap());
        assert_eq!(found, expected.map(fill), "{:?}", gpu.profile);
    }
}

#[test]
fn a_buffer_beyond_the_device_is_out_of_memory() {
    let Some(gpu) = gpu() else { return };
    let words = (gpu.limits.max_buffer_size / 4) as usize + 1024;
    let error = gpu.alloc("huge", words).unwrap_err();
    let Error::OutOfMemory(MemoryError::Allocation { what, bytes, limit, .. }) = &error else { panic!("{error:?}") };
    assert_eq!((what.as_str(), *limit), ("huge", Some(gpu.limits.max_buffer_size)));
    assert!(*bytes >= 4 * words as u64, "{error}");
    assert!(error.to_string().contains("huge") && !error.to_string().contains('\n'), "{error}");
    gpu.alloc("small", 4).unwrap(); // and the device goes on
}

#[test]
fn a_lost_device_is_reported_by_whatever_comes_next() {
    if gpu().is_none() {
        return;
    }
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap(); // without the check at the end of a test
    let buf = gpu.upload("values", &[1u32, 2, 3, 4]).unwrap();
    gpu.lose();
    let error = gpu.read::<u32>(&buf).unwrap_err();
    assert!(matches!(&error, Error::Device(DeviceError::Lost { .. })), "{error:?}");
    assert!(error.to_string().contains("lost"), "{error}");
    assert!(matches!(gpu.alloc("more", 4), Err(Error::Device(_) | Error::OutOfMemory(_))));
}

#[test]
fn a_rejected_shader_is_an_error_that_names_it() {
    let Some(gpu) = gpu() else { return };
    let broken = Shader::new("broken", "@compute @workgroup_size(1) fn main() { let x: f32 = 1u; }");
    let buf = gpu.alloc("values", 4).unwrap();
    let mut program = Program::default();
    program.push(Dispatch::new(&gpu, &broken, &[], &[(&buf).into()], [1, 1, 1]).unwrap());
    for _ in 0..2 {
        let error = program.run(&gpu).unwrap_err();
        let Error::Device(DeviceError::Shader(rejection)) = &error else { panic!("{error:?}") };
        assert_eq!((rejection.shader, &rejection.adapter), ("broken", &gpu.info.name));
        assert!(error.to_string().contains("broken") && !error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_missing_shape_constant_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let source = "override LEN: u32; @group(0) @binding(0) var<storage, read_write> y: array<u32>;
                  @compute @workgroup_size(1) fn main() { y[0] = LEN; }";
    let buf = gpu.alloc("values", 4).unwrap();
    let shader = Shader::new("unspecialised", source);
    let mut program = Program::default();
    program.push(Dispatch::new(&gpu, &shader, &[], &[(&buf).into()], [1, 1, 1]).unwrap());
    let error = program.run(&gpu).unwrap_err();
    assert!(matches!(&error, Error::Device(DeviceError::Shader(why)) if why.shader == "unspecialised"), "{error:?}");
}
