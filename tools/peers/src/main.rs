//! Products of layers on burn's wgpu backend: `burn-peer SHAPES` reads a JSON list of shapes, and for each line on
//! stdin (a round) measures all of them once and prints a JSON object of seconds by name. The first time of all, in
//! which burn tunes itself, does not count.

use burn::tensor::{Device, Distribution, Tensor, module::conv2d, ops::ConvOptions};
use std::io::BufRead;
use std::time::Instant;

/// Seconds of calls before one wait for the device, at least, so that the wait does not count.
const LEAST: f64 = 0.02;

fn main() {
    let shapes: Vec<serde_json::Value> =
        serde_json::from_str(&std::env::args().nth(1).expect("usage: burn-peer SHAPES"))
            .expect("SHAPES is a JSON list");
    let device = Device::wgpu(Default::default());
    for (round, line) in std::io::stdin().lock().lines().enumerate() {
        line.expect("stdin can be read");
        let mut seconds = serde_json::Map::new();
        for shape in &shapes {
            if round == 0 {
                measure(shape, &device, &mut seconds); // burn tunes itself
            }
            measure(shape, &device, &mut seconds);
        }
        println!("{}", serde_json::Value::Object(seconds));
    }
}

fn measure(shape: &serde_json::Value, device: &Device, seconds: &mut serde_json::Map<String, serde_json::Value>) {
    let number = |key: &str| shape[key].as_u64().expect("shapes have numbers") as usize;
    let name = shape["name"].as_str().expect("shapes have names");
    let uniform = Distribution::Uniform(-0.5, 0.5);
    let mut time = |product: &str, run: &mut dyn FnMut()| {
        device.sync().expect("the device runs");
        let mut calls = |count: usize| {
            let start = Instant::now();
            (0..count).for_each(|_| run());
            device.sync().expect("the device runs");
            start.elapsed().as_secs_f64() / count as f64
        };
        let once = calls(1);
        let several = if once < LEAST { calls((LEAST / once) as usize + 1) } else { once };
        seconds.insert(format!("{name} {product}"), several.into());
    };
    let batch = number("batch");
    if shape["kind"] == "dense" {
        let x = Tensor::<2>::random([batch, number("inputs")], uniform, device);
        let w = Tensor::<2>::random([number("inputs"), number("outputs")], uniform, device);
        time("forward", &mut || drop(x.clone().matmul(w.clone())));
        return;
    }
    let (channels, side, size, stride, padding) =
        (number("inputs"), number("side"), number("size"), number("stride"), number("padding"));
    let x = Tensor::<4>::random([batch, channels, side, side], uniform, device);
    let w = Tensor::<4>::random([number("outputs"), channels, size, size], uniform, device);
    let options = || ConvOptions::<2>::new([stride; 2], [padding; 2], [1, 1], 1);
    time("forward", &mut || drop(conv2d(x.clone(), w.clone(), None, options())));
    time("all", &mut || {
        let (x, w) = (x.clone().autodiff().require_grad(), w.clone().autodiff().require_grad());
        let gradients = conv2d(x.clone(), w.clone(), None, options()).sum().backward();
        drop((x.grad(&gradients), w.grad(&gradients)));
    });
}
