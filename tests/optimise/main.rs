//! Every optimiser on one table of problems with known minima, in f64 on the CPU.

use gpu_subset::error::Result;
use gpu_subset::optimise::{LineSearch, Problem, Space, State, Stop};
use methods::*;
use problem::*;
use table::*;

mod methods;
mod minibatched;
mod net;
mod problem;
mod regression;
mod scipy;
mod table;

#[test]
fn the_table_knows_its_minima() {
    for row in table() {
        let (loss, gradient_norm) = row.minimum();
        assert!(loss.is_finite() && gradient_norm <= 1e-14, "{}: {gradient_norm}", row.name);
        // and its gradients: central differences half way from the start to the minimum
        let at: Vec<f64> = row.start.iter().zip(&row.minimiser).map(|(a, b)| 0.5 * (a + b)).collect();
        let mut gradient = vec![0.0; at.len()];
        let scale = (row.function)(&at, &mut gradient).abs().max(1.0);
        for i in 0..at.len() {
            let h = 1e-5 * at[i].abs().max(1e-2);
            let shifted = |h: f64| {
                let mut x = at.clone();
                x[i] += h;
                (row.function)(&x, &mut vec![0.0; at.len()])
            };
            let difference = (shifted(h) - shifted(-h)) / (2.0 * h);
            let rounding = 1e-15 * scale / h;
            let error = (difference - gradient[i]).abs();
            assert!(error <= 1e-6 * gradient[i].abs() + 10.0 * rounding + 1e-6, "{} {i}: {error}", row.name);
        }
    }
}

#[test]
fn the_table_knows_its_curvature() {
    for row in table() {
        // At the minimum residuals vanish, or the function is convex and G is the Hessian anyway.
        let x = &row.minimiser;
        let matrix = (row.curvature)(x);
        let scale = matrix.iter().flatten().fold(1.0, |max: f64, entry| max.max(entry.abs()));
        for i in 0..x.len() {
            let shifted = |h: f64| {
                let (mut x, mut gradient) = (x.clone(), vec![0.0; x.len()]);
                x[i] += h;
                (row.function)(&x, &mut gradient);
                gradient
            };
            let h = 1e-5;
            for (j, (up, down)) in shifted(h).iter().zip(shifted(-h)).enumerate() {
                assert!((matrix[i][j] - matrix[j][i]).abs() <= 1e-15 * scale, "{}: symmetric", row.name);
                let error = (matrix[i][j] - (up - down) / (2.0 * h)).abs();
                assert!(!row.exact || error <= 1e-6 * scale, "{} {i} {j}: {error}", row.name);
            }
        }
    }
}

#[test]
fn every_method_solves_every_problem() -> Result<()> {
    for row in &table() {
        let (minimum, _) = row.minimum();
        let choices = Choices { gradient_tolerance: row.gradient_tolerance, ..Choices::default() };
        for method in METHODS {
            let mut problem = row.problem();
            let mut optimiser = method.start(&mut problem, row.start.clone(), choices)?;
            let (mut loss, mut evaluations) = (optimiser.loss(), problem.evaluations);
            let mut solved_after = (loss <= minimum + row.tolerance).then_some(evaluations);
            let end = run(&mut problem, &mut *optimiser, |problem, outcome| {
                assert!(outcome.loss <= loss + 1e-6 * loss.abs(), "{}: rose from {loss}, {outcome:?}", row.name);
                evaluations += outcome.evaluations;
                assert_eq!(evaluations, problem.evaluations, "{}: counts what it does", row.name);
                loss = outcome.loss;
                if loss <= minimum + row.tolerance {
                    solved_after.get_or_insert(evaluations);
                }
            })?;
            let name = format!("{method:?}");
            let products = problem.products;
            println!(
                "{:26}{name:23} solved after {solved_after:?}, {evaluations} in all, {products} products",
                row.name
            );
            assert!(solved_after.is_some_and(|n| n <= method.limit(row)), "{} {method:?}: {solved_after:?}", row.name);
            assert!(row.has_edge || problem.not_finite == 0, "{} {method:?}", row.name);
            if let Method::Cg(_) = method {
                assert_eq!(row.has_edge, problem.not_finite > 0, "{} {method:?}", row.name);
            }

            // It stopped because it is at the minimum, says so, and stays there.
            assert_eq!(end.stop, Some(Stop::Converged), "{} {method:?}", row.name);
            assert!(end.gradient_norm <= row.gradient_tolerance);
            let x = optimiser.parameters().clone();
            let again = optimiser.step(&mut problem)?;
            assert_eq!((again.stop, again.evaluations, again.step_norm), (end.stop, 0, 0.0));
            assert_eq!(&x, optimiser.parameters());
            let mut gradient = vec![0.0; x.len()];
            assert_eq!((row.function)(&x, &mut gradient), end.loss, "{}: the loss is that of x", row.name);
            assert_eq!(problem.space().dot(&gradient, &gradient)?.sqrt(), end.gradient_norm);
        }
    }
    Ok(())
}

#[test]
fn without_a_tolerance_a_method_ends_where_precision_does() -> Result<()> {
    let mut others = Vec::new();
    for row in table().into_iter().filter(|row| row.gradient_tolerance <= 1e-6) {
        let (minimum, _) = row.minimum();
        for method in METHODS {
            let mut problem = row.problem();
            let mut optimiser = method.start(&mut problem, row.start.clone(), Choices::default())?;
            let end = run_for(&mut problem, &mut *optimiser, |_, _| ())?;
            // Near a zero of f, floating point resolves ever smaller losses down to the least number there is; where
            // the Hessian is singular too, Gauss-Newton steps shrink x by a constant factor at best, and go on all that
            // way.
            if end.stop.is_none() && row.vanishes && matches!(method, Method::GaussNewton(_) | Method::Kfac) {
                assert!(end.loss <= 1e-25, "{} {method:?}: {end:?}", row.name);
                continue;
            }
            let expected = if end.gradient_norm == 0.0 { Stop::Converged } else { Stop::LineSearchFailed };
            if end.stop != Some(expected) || end.loss - minimum > 1e-14 * minimum.abs().max(1.0) {
                let excess = end.loss - minimum;
                others.push(format!("{} {method:?}: {excess:e} above the minimum, {end:?}", row.name));
            }
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    Ok(())
}

#[test]
fn a_start_at_the_minimum_needs_no_step() -> Result<()> {
    for row in table() {
        let (minimum, gradient_tolerance) = row.minimum();
        let choices = Choices { gradient_tolerance, ..Choices::default() };
        for method in METHODS {
            let mut problem = row.problem();
            let mut optimiser = method.start(&mut problem, row.minimiser.clone(), choices)?;
            let outcome = optimiser.step(&mut problem)?;
            assert_eq!(outcome.stop, Some(Stop::Converged), "{} {method:?}", row.name);
            assert_eq!((outcome.loss, problem.evaluations), (minimum, 1), "{} {method:?}", row.name);
            assert_eq!(optimiser.parameters(), &row.minimiser, "{} {method:?}", row.name);
        }
    }
    Ok(())
}

#[test]
fn a_start_that_is_not_finite_is_refused() -> Result<()> {
    for row in table().iter().filter(|row| row.has_edge) {
        // outside the domain, beyond overflow, and NaN itself
        for x in [-1e3, 1e3, f64::NAN].map(|x| vec![x; row.start.len()]) {
            let finite = (row.function)(&x, &mut x.clone()).is_finite();
            for method in METHODS {
                let mut problem = row.problem();
                let mut optimiser = method.start(&mut problem, x.clone(), Choices::default())?;
                let outcome = optimiser.step(&mut problem)?;
                let refused = outcome.stop == Some(Stop::NotFinite);
                assert_eq!(refused, !finite, "{} {method:?} at {x:?}: {outcome:?}", row.name);
            }
        }
    }
    Ok(())
}

#[test]
fn a_resumed_run_is_the_same_run_bit_for_bit() -> Result<()> {
    for row in table().iter().filter(|row| row.start.len() > 1) {
        for method in METHODS {
            let choices = Choices::default();
            let (mut problem, mut other_problem) = (row.problem(), row.problem());
            let mut whole = method.start(&mut problem, row.start.clone(), choices)?;
            let mut resumed = method.start(&mut other_problem, row.start.clone(), choices)?;
            for iteration in 0..50 {
                if [0, 1, 2, 7, 20, 45].contains(&iteration) {
                    // Nothing but the state and the problem's memory survive, as bytes.
                    let bytes =
                        resumed.state().convert(|v| Ok(v.iter().map(|x| x.to_le_bytes()).collect::<Vec<_>>()))?;
                    let state: State<Vec<f64>> =
                        bytes.convert(|v| Ok(v.iter().map(|&x| f64::from_le_bytes(x)).collect()))?;
                    let memory = other_problem.memory();
                    other_problem = row.problem();
                    other_problem.remember(&memory)?;
                    resumed = method.resume(&mut other_problem, &state, choices)?;
                }
                let before = whole.state();
                let before_norm = problem.space().dot(&before.parameters, &before.parameters)?.sqrt();
                let (expected, outcome) = (whole.step(&mut problem)?, resumed.step(&mut other_problem)?);
                assert_eq!(outcome, expected, "{} {method:?} {iteration}", row.name);
                let after = whole.state();
                assert_eq!(resumed.state(), after, "{} {method:?} {iteration}", row.name);
                let steps = u64::from(outcome.stop.is_none());
                assert_eq!(after.scalars.iteration, before.scalars.iteration + steps, "{}", row.name);

                let mut step = before.parameters;
                problem.space().axpby(1.0, &after.parameters, -1.0, &mut step)?;
                let norm = problem.space().dot(&step, &step)?.sqrt();
                let rounding = 1e-9 * (outcome.step_norm + before_norm);
                assert!((norm - outcome.step_norm).abs() <= rounding, "{} {outcome:?} {norm}", row.name);
            }
        }
    }
    Ok(())
}

#[test]
fn a_loss_in_single_precision_does_not_end_the_descent_early() -> Result<()> {
    let row = net::logistic("logistic regression", (0.0, [0; 4]));
    let (minimum, _) = row.minimum();
    for method in METHODS {
        // f − minimum, in double precision, where the run ends
        let excess = |noise: f64| -> Result<f64> {
            let mut problem = Counted { single_precision: true, ..row.problem() };
            let choices = Choices { noise, ..Choices::default() };
            let mut optimiser = method.start(&mut problem, row.start.clone(), choices)?;
            run(&mut problem, &mut *optimiser, |_, _| ())?;
            let x = optimiser.parameters();
            Ok((row.function)(x, &mut vec![0.0; x.len()]) - minimum)
        };
        let (careful, by_subtraction) = (excess(LineSearch::default().noise)?, excess(0.0)?);
        println!("{method:?}: {careful:e}, {by_subtraction:e} without noise");
        assert!(careful <= 1e-11, "{method:?}: {careful}");
        if method == Method::Kfac {
            continue; // its noise is not a choice
        }
        let blind = if let Method::GaussNewton(_) = method { 1e-11 } else { 1e-10 };
        assert!(by_subtraction >= blind, "{method:?}: the row no longer shows why: {by_subtraction}");
    }
    Ok(())
}
