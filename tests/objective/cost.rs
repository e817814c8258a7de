//! What methods are charged for, against counts by hand; and that no more is spent than was said beforehand.

use crate::common::gpus;
use crate::{OnDevice, problem};
use gpu_subset::batch::{Batch, Chosen, Draw};
use gpu_subset::cost::{Cost, Units};
use gpu_subset::kernels::augment::Augmentation;
use gpu_subset::optimise::{
    Adam, BatchPlan, Calls, Lbfgs, LbfgsSettings, Muon, Optimiser, Problem, Rule, Sgd, Space, Stochastic, Sweep,
};
use gpu_subset::training::SubsetProblem;

/// Two dense layers: 5·5·12 + 12 and 12·10 + 10 parameters, 420 multiply-adds forward.
const DENSE: usize = 2;
const PARAMETERS: u64 = 442;
const FORWARD: u64 = 420;
const HEAD: u64 = 120;

/// So many multiply-adds a parameter, in thousandths of a forward pass.
fn vectors(multiply_adds: u64) -> u64 {
    (1000 * multiply_adds * PARAMETERS).div_ceil(FORWARD)
}

#[test]
fn vectors_cost_what_their_formulas_say() {
    for gpu in gpus() {
        let problem = problem(DENSE, 64, 1e-3);
        let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        let model = &problem.twin.model;
        assert_eq!([model.parameters() as u64, model.multiply_adds() as u64], [PARAMETERS, FORWARD]);
        let minimised = SubsetProblem::new(on_device.objective.sample(64).unwrap()).unwrap();
        let space = minimised.space();
        let [x, mut y, mut out] = [1, 2, 3].map(|seed| on_device.vector(&problem.direction(seed)));
        type Call<'a> = &'a mut dyn FnMut();
        let mut charged = 0;
        let mut is_charged = |multiply_adds: u64, call: Call<'_>| {
            call();
            charged += vectors(multiply_adds);
            assert_eq!(space.cost(), Cost { besides: charged, ..Cost::default() });
        };
        is_charged(0, &mut || space.copy(&x, &mut y).unwrap());
        is_charged(0, &mut || drop(space.copied(&x).unwrap()));
        is_charged(1, &mut || drop(space.scaled(2.0, &x).unwrap()));
        is_charged(2, &mut || space.axpby(2.0, &x, 1.0, &mut y).unwrap());
        is_charged(2, &mut || drop(space.inner_products(&[(&x, &x), (&x, &y)]).unwrap()));
        is_charged(2, &mut || space.combine(&[(1.0, &x), (2.0, &y)], &mut out).unwrap());
        assert_eq!(minimised.cost(), space.cost(), "none of it is of anything else");
    }
}

#[test]
fn a_first_step_of_lbfgs_is_what_it_was_by_hand() {
    for gpu in gpus() {
        let problem = problem(DENSE, 64, 1e-3);
        let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        let mut minimised = SubsetProblem::new(on_device.objective.sample(64).unwrap()).unwrap();
        let start = on_device.vector(&problem.parameters(5));
        let mut lbfgs = Lbfgs::new(&mut minimised, start, None, LbfgsSettings::default()).unwrap();
        let outcome = lbfgs.step(&mut minimised).unwrap();
        let trials = outcome.evaluations as u64;
        assert!(trials > 0 && !outcome.restarted, "{outcome:?}");
        // ‖g‖² and −g; gᵀd and dᵀd; of a trial, its point and two products; s and y, their products with the one pair
        // and with g, and three terms of the direction
        let of_steps = [1, 1, 2, 2, 2, 4, 3].map(vectors).iter().sum::<u64>() + trials * 2 * vectors(2);
        let evaluations = trials + 1;
        let expected = Cost {
            forward: 64 * evaluations,
            backward: 64 * evaluations,
            besides: of_steps + evaluations * vectors(3),
            ..Cost::default()
        };
        assert_eq!(minimised.cost(), expected);
    }
}

#[test]
fn an_epoch_of_adam_costs_its_examples_and_nine_multiply_adds_a_parameter_and_update() {
    for gpu in gpus() {
        let problem = problem(DENSE, 96, 1e-3);
        let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        let mut minimised = SubsetProblem::new(on_device.objective.sample(96).unwrap()).unwrap();
        let batches = BatchPlan { batch: 32, batches_per_step: 3, ..BatchPlan::default() };
        let rule = Rule::Adam(Adam { batches, ..Adam::default() });
        let start = on_device.vector(&problem.parameters(5));
        let mut adam = rule.start(&mut minimised, start, Units::new(1000.0), 1).unwrap();
        assert_eq!(minimised.cost(), Cost::default());
        let outcome = adam.step(&mut minimised).unwrap();
        // the penalty's gradient and the update; at the end ‖θ‖², how far it went, and the products for two norms
        let besides = 3 * (vectors(1) + vectors(8)) + vectors(1) + 2 * vectors(2);
        let expected = Cost { forward: 96, backward: 96, besides, ..Cost::default() };
        assert_eq!((outcome.evaluations, minimised.cost()), (3, expected));
    }
}

#[test]
fn an_update_of_muon_costs_its_vectors_and_the_products_of_hidden_weights() {
    for gpu in gpus() {
        let problem = problem(0, 96, 1e-3);
        let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
        let model = &problem.twin.model;
        let thousandths = |multiply_adds: u64| (1000 * multiply_adds).div_ceil(model.multiply_adds() as u64);
        let vectors = |multiply_adds: u64| thousandths(multiply_adds * model.parameters() as u64);
        let mut minimised = SubsetProblem::new(on_device.objective.sample(96).unwrap()).unwrap();
        let batches = BatchPlan { batch: 32, batches_per_step: 3, ..BatchPlan::default() };
        let rule = Rule::Muon(Muon { batches, ..Muon::default() });
        let start = on_device.vector(&problem.parameters(5));
        let mut muon = rule.start(&mut minimised, start, Units::new(1000.0), 1).unwrap();
        // the norms of the matrices
        assert_eq!(minimised.cost(), Cost { besides: vectors(1), ..Cost::default() });
        muon.step(&mut minimised).unwrap();
        // beside what Adam takes, 2 m² n + 18 m³: 4 × 3·2·2 of the second convolution, 6 × 8 of the dense layer
        let of_matrices = [[4u64, 12], [6, 8]].map(|[m, n]| 2 * m * m * n + 18 * m * m * m).iter().sum();
        let of_update = vectors(1) + vectors(8) + thousandths(of_matrices);
        let besides = vectors(1) + 3 * of_update + vectors(1) + 2 * vectors(2);
        assert_eq!(minimised.cost(), Cost { forward: 96, backward: 96, besides, ..Cost::default() });
    }
}

#[test]
fn choices_and_copies_are_charged() {
    let by = Augmentation { brightness: 0.1, ..Augmentation::default() };
    for gpu in gpus() {
        let plain = problem(DENSE, 64, 0.0);
        let changed = problem(DENSE, 64, 0.0).copies(by, 3, 1);
        let positions: Vec<u32> = (0..64).collect();
        // 25 values an image; residuals of ten classes, twelve iterations, draw and weight
        for (problem, selects, multiply_adds) in
            [(&plain, false, 0), (&plain, true, 64 * 36), (&changed, false, 64 * 25), (&changed, true, 64 * (25 + 36))]
        {
            let on_device = OnDevice::with_chunks(&gpu, problem, 64);
            let mut minibatches = on_device.minibatches(64, if selects { Chosen::Own } else { Chosen::All });
            let draw = selects.then_some(Draw { seed: 1, step: 0 });
            let batch = Batch { positions: &positions, weights: None, epoch: 0, draw };
            // far from the minimum for some examples and near for others, so that not all go backward
            let theta: Vec<f64> = problem.parameters(5).iter().map(|t| 4.0 * t).collect();
            minibatches.gradient(&on_device.vector(&theta), batch, &on_device.unwritten()).unwrap();
            let besides = (1000 * multiply_adds as u64).div_ceil(FORWARD);
            assert_eq!((minibatches.cost().forward, minibatches.cost().besides), (64, besides));
            // the last layer's gradient, of those that do not go backward
            minibatches.take_evaluation().unwrap();
            let others = if selects { 64 - minibatches.cost().backward } else { 0 };
            let of_head = (1000 * others * HEAD).div_ceil(FORWARD);
            assert_eq!(minibatches.cost().besides, besides + of_head);
            assert_eq!(others > 0, selects);
        }
    }
}

#[test]
fn mini_batches_cost_no_more_than_was_said() {
    let problem = problem(0, 160, 1e-3);
    let batches = BatchPlan { batch: 32, batches_per_step: 5, average: true, ..BatchPlan::default() };
    let sweep = Sweep { refresh_every: 3, refresh_growth: 0.3, batches, ..Sweep::default() };
    let rules = [
        Rule::Sweep(Sweep { batches: BatchPlan { select: true, ..batches }, ..sweep }),
        Rule::Sweep(sweep),
        Rule::Adam(Adam { batches, ..Adam::default() }),
        Rule::Sgd(Sgd { batches, ..Sgd::default() }),
        Rule::Muon(Muon { batches, ..Muon::default() }),
    ];
    for gpu in gpus() {
        // a mini-batch in two pieces leaves no activations, so that looks take a sample; nor is there a choice in it
        let in_pieces = |rule: &Rule| (!rule.batches().select).then_some((*rule, 96));
        for (rule, batch) in rules.iter().flat_map(|rule| [Some((*rule, 64)), in_pieces(rule)]).flatten() {
            let rule = rule.with_batches(BatchPlan { batch, ..*rule.batches() });
            let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
            let mut minimised = SubsetProblem::new(on_device.objective.sample(160).unwrap()).unwrap();
            let start = on_device.vector(&problem.parameters(5));
            let mut running = rule.start(&mut minimised, start, Units::of_passes(9.0, 160), 1).unwrap();
            let begun = minimised.cost();
            let at_most = minimised.most(0, batch, rule.start_calls());
            assert!(begun.units() <= at_most, "{rule:?}: {begun:?}, at most {at_most:?}");
            let one = minimised.most(
                1,
                batch,
                Calls {
                    looks: 1,
                    inversions: 1,
                    preconditions: 1,
                    vectors: 15,
                    orthogonalisations: 1,
                    ..Calls::default()
                },
            );
            while running.step(&mut minimised).unwrap().stop.is_none() {}
            let spent = minimised.cost().units().passes(160);
            let beyond = (Units::of_passes(9.0, 160) + one).passes(160);
            assert!((9.0..beyond).contains(&spent), "{rule:?}: {spent}, at most {beyond}");
            assert!(minimised.cost().units() > minimised.cost().network_units());
        }
    }
}
