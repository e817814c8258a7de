//! What evaluations normalise by.

use crate::common::{assert_close, gpus};
use crate::{OnDevice, problem, workspace};
use gpu_subset::objective::Objective;

/// The net of the table that normalises.
const NORMALISED: usize = 6;

#[test]
fn an_evaluation_does_not_depend_on_what_is_evaluated_beside_an_example() {
    let of_training = problem(NORMALISED, 192, 0.0);
    let theta = of_training.parameters(91);
    for gpu in gpus() {
        let on_device = OnDevice::with_chunks(&gpu, &of_training, 192);
        let examples = on_device.objective.examples().clone();
        let at = on_device.vector(&theta);
        let seen = (&examples, &of_training.indices[..]);
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let logits = |indices: &[u32]| {
            let objective = Objective::new(&gpu, on_device.objective.workspace(), &examples, indices, 0.0).unwrap();
            objective.evaluating(Some(seen)).unwrap().logits(&at).unwrap()
        };
        let all = logits(&of_training.indices);
        for n in [0, 17, 191] {
            let alone = logits(&of_training.indices[n..=n]);
            assert_close("alone", &wide(&alone), &wide(&all[n * alone.len()..(n + 1) * alone.len()]), 1e-5);
        }

        // all of them are one group of what was seen, so that only the variance differs, by n / (n − 1)
        let want = problem(NORMALISED, 192, 0.0).minibatch().activations(&theta).pop().unwrap();
        assert_close("seen", &wide(&all), &want, 2e-3);

        // what was found is all it takes
        let moments = on_device.objective.workspace().moments(&gpu).unwrap();
        let other = workspace(&gpu, &of_training, 64);
        other.set_moments(&gpu, &moments);
        let objective = Objective::new(&gpu, &other, &examples, &of_training.indices, 0.0).unwrap();
        let again = objective.evaluating(None).unwrap().logits(&at).unwrap();
        assert_eq!(again, all);
    }
}
