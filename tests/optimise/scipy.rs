//! Conjugate gradients and L-BFGS next to SciPy's, whose values `scipy_values.py` made.

use crate::*;
use gpu_subset::optimise::Beta;
use serde::Deserialize;

#[derive(Deserialize)]
struct Values {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    row: String,
    method: String,
    evaluations: usize,
    loss: f64,
    gradient_norm: f64,
    minimiser: Vec<f64>,
}

#[test]
fn scipy_finds_the_same_minima_and_no_faster() -> Result<()> {
    let values: Values = serde_json::from_str(include_str!("scipy_values.json")).expect("what the script prints");
    assert_eq!(values.runs.len(), 8);
    for theirs in values.runs {
        let row = table().into_iter().find(|row| row.name == theirs.row).expect("a row of the table");
        let methods = match theirs.method.as_str() {
            "CG" => vec![Method::Cg(Beta::PolakRibierePlus), Method::Cg(Beta::HagerZhang)],
            _ => vec![Method::Lbfgs],
        };
        for method in methods {
            let mut problem = row.problem();
            let choices = Choices { gradient_tolerance: theirs.gradient_norm.min(1e-8), ..Choices::default() };
            let mut optimiser = method.start(&mut problem, row.start.clone(), choices)?;
            let end = run(&mut problem, &mut *optimiser, |_, _| ())?;
            let (ours, limit) = (problem.evaluations, theirs.evaluations + theirs.evaluations / 2);
            println!("{:20} {method:?}: {ours} evaluations, SciPy {}", row.name, theirs.evaluations);
            assert_eq!(end.stop, Some(Stop::Converged), "{} {method:?}", row.name);
            assert!(ours <= limit, "{} {method:?}: {ours} evaluations, not {limit}", row.name);
            assert!((end.loss - theirs.loss).abs() <= 1e-12, "{} {method:?}: {end:?}", row.name);
            for (x, y) in optimiser.parameters().iter().zip(&theirs.minimiser) {
                assert!((x - y).abs() <= 1e-5, "{} {method:?}: {x} {y}", row.name);
            }
        }
    }
    Ok(())
}
