//! The matrices of a network that Muon orthogonalises.

use crate::kernels::weights::WeightShape;
use crate::model::Model;
use crate::update::Matrix;

/// The weights of each layer but the first with parameters and the last, outputs × (inputs · positions of a filter).
pub(super) fn hidden_weights(model: &Model) -> Vec<Matrix> {
    let with_weights = model.layers().iter().zip(model.ranges());
    let matrix = |shape: WeightShape, start: usize| Matrix { start, rows: shape.outputs, columns: shape.patches() };
    let all = with_weights.filter_map(|(layer, words)| Some(matrix(layer.weights()?, words.as_ref()?.start)));
    let mut hidden: Vec<Matrix> = all.skip(1).collect();
    hidden.pop();
    hidden
}
