//! The matrices of a network that Muon orthogonalises.

use crate::kernels::weights::WeightShape;
use crate::model::Model;
use crate::update::Matrix;

/// The weights of each product but the first and the last, outputs × (inputs · positions of a filter). Scales of
/// normalisations are no matrices.
pub(super) fn hidden_weights(model: &Model) -> Vec<Matrix> {
    let with_weights = model.layers().iter().zip(model.ranges()).filter(|(layer, _)| layer.is_product());
    let matrix = |shape: WeightShape, start: usize| Matrix { start, rows: shape.outputs, columns: shape.patches() };
    let all = with_weights.filter_map(|(layer, words)| Some(matrix(layer.weights()?, words.as_ref()?.start)));
    let mut hidden: Vec<Matrix> = all.skip(1).collect();
    hidden.pop();
    hidden.retain(|matrix| matrix.start >= model.frozen_words());
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Description;

    #[test]
    fn matrices_are_the_filters_between_the_first_layer_and_the_last() {
        let name = "cifar-resnet-75k";
        let input = Description::input_of(name).unwrap();
        let model = Model::new(&Description::open(name).unwrap(), input, 10).unwrap();
        let sides: Vec<_> = hidden_weights(&model).iter().map(|matrix| [matrix.rows, matrix.columns]).collect();
        assert_eq!(sides, [[16, 144], [16, 144], [32, 144], [32, 288], [64, 288], [64, 576]]);
    }
}
