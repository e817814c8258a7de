//! Methods on the device, in f32, end where the loss has its minimum in f64.

use crate::common::gpus;
use crate::common::problem::Problem;
use crate::common::twin::norm;
use crate::{NETS, OnDevice, problem};
use gpu_subset::cost::{Cost, Units};
use gpu_subset::device::Buf;
use gpu_subset::error::Result;
use gpu_subset::optimise::{
    BatchPlan, Curved, Euclidean, GaussNewtonSettings, KfacSettings, Lbfgs, LbfgsSettings, Method, Muon, NcgSettings,
    Optimiser, Preconditioner, Problem as Minimise, Rule, Space, State, Stop, Sweep,
};
use gpu_subset::training::SubsetProblem;

/// Softmax regression, and a net of tanh units, both with weight decay and so with finite minima.
const REGRESSION: usize = 3;
const TANH: &str = r#"{ kind = "dense", units = 8, activation = "tanh" }, { kind = "dense" }"#;
const WEIGHT_DECAY: f64 = 1e-2;

fn problems() -> [Problem; 2] {
    let (input, classes, _) = NETS[REGRESSION];
    let twin = crate::common::twin::Twin::new(input, classes, TANH);
    [problem(REGRESSION, 200, WEIGHT_DECAY), Problem::new(twin, 200, WEIGHT_DECAY, 300)]
}

/// Every method that looks at all examples.
fn methods() -> Vec<Method> {
    let with = |preconditioner| GaussNewtonSettings { preconditioner, ..Default::default() };
    vec![
        Method::Ncg(NcgSettings::default()),
        Method::Lbfgs(LbfgsSettings::default()),
        Method::GaussNewton(GaussNewtonSettings::default()),
        Method::GaussNewton(with(Preconditioner::Kronecker)),
        Method::GaussNewton(with(Preconditioner::Diagonal)),
        Method::Kfac(KfacSettings::default()),
    ]
}

/// The sweep: the seven mini-batches of an epoch, some of their examples kept, in steps of five, and a refresh before
/// every fourth.
fn sweep() -> Rule {
    let batches = BatchPlan { batch: 64, batches_per_step: 5, select: true, ..Sweep::default().batches };
    Rule::Sweep(Sweep { refresh_every: 4, batches, ..Sweep::default() })
}

/// A method of either kind, in the middle of a problem.
#[derive(Debug)]
enum AnyMethod {
    Whole(Method),
    Minibatched(Rule),
}

/// What the sweep may cost, and the seed of its order.
const BUDGET: Units = Units::new(30.0 * 200.0);
const SEED: u64 = 0;

impl AnyMethod {
    fn start(&self, problem: &mut SubsetProblem, x: Buf) -> Box<dyn Optimiser<SubsetProblem>> {
        match self {
            Self::Whole(method) => method.start(problem, x, None),
            Self::Minibatched(rule) => rule.start(problem, x, BUDGET, SEED),
        }
        .unwrap()
    }

    fn resume(&self, problem: &SubsetProblem, state: &State<Buf>) -> Box<dyn Optimiser<SubsetProblem>> {
        match self {
            Self::Whole(method) => method.resume(problem, state),
            Self::Minibatched(rule) => rule.resume(problem, state, BUDGET, SEED),
        }
        .unwrap()
    }
}

/// The twin's loss in f64.
struct InF64<'a> {
    problem: &'a Problem,
    space: Euclidean,
}

impl Minimise for InF64<'_> {
    type Space = Euclidean;
    type Evaluation = f64;

    fn space(&self) -> &Euclidean {
        &self.space
    }

    fn loss_and_gradient(&mut self, x: &Vec<f64>, gradient: &mut Vec<f64>) -> Result<f64> {
        *gradient = self.problem.gradient(x);
        Ok(self.problem.loss(x))
    }
}

/// The minimum of the valley that x lies in.
fn minimum_from(problem: &Problem, x: Vec<f64>) -> f64 {
    let mut in_f64 = InF64 { problem, space: Euclidean::new(x.len()) };
    let settings = LbfgsSettings { gradient_tolerance: 1e-9, ..LbfgsSettings::default() };
    let mut polish = Lbfgs::new(&mut in_f64, x, None, settings).unwrap();
    let end = (0..3000).find_map(|_| polish.step(&mut in_f64).unwrap().stop);
    assert_eq!(end, Some(Stop::Converged));
    polish.loss()
}

#[test]
fn every_method_ends_at_the_minimum_in_f64() {
    for problem in problems() {
        let start = problem.parameters(51);
        let gradient_at_start = norm(&problem.gradient(&start));
        let is_convex = problem.twin.model.layers().len() == 1;
        let mut only_minimum = None;
        for gpu in gpus() {
            for method in methods() {
                let on_device = OnDevice::with_chunks(&gpu, &problem, 256);
                let theta = on_device.vector(&start);
                let compact = |theta: &_| on_device.compact(theta);
                let objective = on_device.objective.sample(200).unwrap();
                let mut minimised = SubsetProblem::new(objective).unwrap();
                let mut optimiser = method.start(&mut minimised, theta, None).unwrap();
                let mut loss = optimiser.loss();
                for _ in 0..1500 {
                    let outcome = optimiser.step(&mut minimised).unwrap();
                    assert!(outcome.loss <= loss * (1.0 + 2e-6), "{method:?}: rose from {loss}, {outcome:?}");
                    loss = outcome.loss;
                    if outcome.stop.is_some() || outcome.gradient_norm <= 1e-4 * gradient_at_start {
                        break;
                    }
                }
                let end = compact(optimiser.parameters());
                let (reached, gradient) = (problem.loss(&end), norm(&problem.gradient(&end)));
                let minimum = only_minimum.unwrap_or_else(|| minimum_from(&problem, end));
                only_minimum = is_convex.then_some(minimum);
                assert!(reached - minimum <= 1e-6 * minimum, "{method:?}: {reached}, the minimum is {minimum}");
                assert!(gradient <= 1e-3 * gradient_at_start, "{method:?}: {gradient} of {gradient_at_start}");
            }
        }
    }
}

#[test]
fn the_same_start_gives_the_same_bits_and_so_does_a_resumption() {
    let [_, problem] = problems();
    let whole = methods().into_iter().map(AnyMethod::Whole);
    for method in whole.chain([AnyMethod::Minibatched(sweep())]) {
        resumes_with_the_same_bits(&problem, &method);
    }
    // with hidden layers
    let problem = crate::problem(0, 200, WEIGHT_DECAY);
    for hold in [false, true] {
        let batches = BatchPlan { batch: 64, batches_per_step: 5, average: true, ..Muon::default().batches };
        let rule = Rule::Muon(Muon { hold, batches, ..Muon::default() });
        resumes_with_the_same_bits(&problem, &AnyMethod::Minibatched(rule));
    }
}

fn resumes_with_the_same_bits(problem: &Problem, method: &AnyMethod) {
    for gpu in gpus() {
        let on_device = OnDevice::with_chunks(&gpu, problem, 256);
        let make = || SubsetProblem::new(on_device.objective.sample(200).unwrap()).unwrap();
        let run = |resumed_after: Option<usize>| -> (Vec<f64>, Cost) {
            let (mut minimised, mut spent) = (make(), Cost::default());
            let start = on_device.vector(&problem.parameters(52));
            let mut optimiser = method.start(&mut minimised, start);
            for step in 0..12 {
                if resumed_after == Some(step) {
                    let host = optimiser.state().convert(|v| minimised.space().download(v)).unwrap();
                    let state = host.convert(|v| minimised.space().upload(v)).unwrap();
                    let upload = |(name, v): &(String, _)| {
                        (name.clone(), gpu.upload("memory", &gpu.read::<f32>(v).unwrap()).unwrap())
                    };
                    let memory: Vec<_> = minimised.memory().iter().map(upload).collect();
                    spent += minimised.cost();
                    let paid_for = minimised.paid_for();
                    minimised = make();
                    minimised.remember(&memory).unwrap();
                    minimised.set_paid_for(paid_for);
                    optimiser = method.resume(&minimised, &state);
                }
                optimiser.step(&mut minimised).unwrap();
            }
            assert!(minimised.cost().besides > 0, "{method:?}: vectors cost something");
            (on_device.compact(optimiser.parameters()), spent + minimised.cost())
        };
        let whole = run(None);
        assert!(run(None) == whole, "{method:?}: other bits");
        assert!(run(Some(7)) == whole, "{method:?}: other bits or another cost when resumed");
    }
}

#[test]
fn curvature_counts_the_penalty() {
    let [problem, _] = problems();
    for gpu in gpus() {
        let on_device = OnDevice::with_chunks(&gpu, &problem, 256);
        let mut minimised = SubsetProblem::new(on_device.objective.sample(200).unwrap()).unwrap();
        let theta = on_device.vector(&problem.parameters(53));
        let u = on_device.vector(&problem.direction(1));
        let v = on_device.vector(&problem.direction(2));
        let mut product = on_device.unwritten();
        let gram = minimised.space().dots([(&u, &u), (&u, &v), (&v, &v)]).unwrap();
        let [uu, uv, vv] = minimised.curvature(&theta, [&u, &v], gram).unwrap();
        minimised.gauss_newton_product(&theta, &v, &mut product).unwrap();
        let [u_gv, v_gv] = minimised.space().dots([(&u, &product), (&v, &product)]).unwrap();
        assert!((uv - u_gv).abs() <= 1e-5 * (uu * vv).sqrt(), "{uv} and {u_gv}");
        assert!((vv - v_gv).abs() <= 1e-5 * vv, "{vv} and {v_gv}");
    }
}
