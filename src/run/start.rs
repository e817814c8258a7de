//! Weights that a run starts from: which of them fit its network, and the parameters that come of it.

use super::config::Config;
use super::initial::InitialWeights;
use super::pixels::Pixels;
use super::weights::Weights;
use crate::data::Dataset;
use crate::error::{Result, RunError};
use crate::export::Signature;
use crate::model::{Description, Model, Tensor};
use crate::shape::Shape;
use std::path::{Path, PathBuf};

impl InitialWeights {
    /// Those of a file or a run for a run on these data, and the network: their own, unless there is another. Layers
    /// are taken by name and shape; the head is drawn where the classes are others.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) for images of other channels, or of another size that the network
    /// does not take, and naming the tensor that is missing or of another shape.
    pub(super) fn choose(
        (path, pixels): (&str, &Pixels),
        named: Option<Description>,
        data: &Dataset,
    ) -> Result<(Description, Self)> {
        let (weights, stated) = Weights::open(Path::new(path), pixels)?;
        let Signature { input, classes, normalisation, .. } = &weights.signature;
        let has_other_network = named.is_some();
        let description = named.unwrap_or_else(|| weights.signature.model.clone());
        if data.value_kind() != weights.signature.values {
            return Err(weights.other_values(data).into());
        }
        let other_images = || RunError::OtherImages {
            data: data.name.clone(),
            images: data.shape,
            classes: data.classes.len(),
            trained_images: *input,
            trained_classes: classes.len(),
        };
        let model = Model::new(&description, data.shape, data.classes.len());
        if data.shape.channels != input.channels || !has_other_network && data.shape != *input && model.is_err() {
            return Err(other_images().into());
        }
        let model = model?;
        if data.shape != *input && [&model, &weights.model].into_iter().any(depends_on_size) {
            return Err(other_images().into());
        }
        let head = head(&model);
        let are_same = if stated.classes { data.has_classes(classes) } else { data.classes.len() == classes.len() };
        let keeps_head =
            are_same && head.iter().all(|tensor| weights.model.tensors().iter().any(|own| are_alike(own, tensor)));
        let mut drawn: Vec<String> = Vec::new();
        if !keeps_head {
            drawn.extend(head.iter().filter_map(|tensor| tensor.name.strip_suffix(".weight")).map(str::to_owned));
        }
        let (made_in, normalisation) = (Config::start_of(path), normalisation.clone());
        let (path, weights_sha256, is_assumed) = (path.to_owned(), weights.sha256(), !stated.inputs);
        let chosen = Self { path, made_in, weights_sha256, drawn, is_assumed, normalisation };
        if chosen.kept(&model).next().is_none() {
            return Err(RunError::NothingKept { path: chosen.path.into() }.into());
        }
        chosen.taken(&model, &weights)?;
        Ok((description, chosen))
    }

    /// The parameters that the run starts from, a flat vector of its model: what is not taken is drawn by the seed.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) where the weights are not there any more, or are others.
    pub(super) fn start(&self, model: &Model, seed: u64) -> Result<Vec<f32>> {
        let path = self.found();
        let (weights, _) = Weights::open(&path, &Pixels::default())
            .map_err(|why| RunError::InitialWeights { path: self.path.clone().into(), source: Box::new(why) })?;
        if weights.sha256() != self.weights_sha256 {
            return Err(RunError::OtherWeights { path }.into());
        }
        let mut theta = model.initialise(seed);
        for (to, from) in self.taken(model, &weights)? {
            theta[to.range].copy_from_slice(&weights.theta[from.range]);
        }
        Ok(theta)
    }

    /// These, and where each comes from.
    fn taken(&self, model: &Model, weights: &Weights) -> Result<Vec<(Tensor, Tensor)>> {
        let own = weights.model.tensors();
        let find = |tensor: Tensor| {
            let found = own.iter().find(|own| own.name == tensor.name);
            match found.filter(|found| found.dims == tensor.dims) {
                Some(found) => Ok((tensor, found.clone())),
                None => Err(RunError::OtherTensor {
                    path: self.path.clone().into(),
                    tensor: tensor.name,
                    found: found.map(|found| found.dims.clone()),
                    expected: tensor.dims,
                }
                .into()),
            }
        };
        self.kept(model).map(find).collect()
    }

    /// Where they are: at the path, from the working folder or from the one where the run was made.
    fn found(&self) -> PathBuf {
        let path = Path::new(&self.path);
        let elsewhere = self.made_in.as_ref().map(|folder| folder.join(path));
        elsewhere.filter(|elsewhere| !path.exists() && elsewhere.exists()).unwrap_or_else(|| path.to_owned())
    }
}

fn are_alike(a: &Tensor, b: &Tensor) -> bool {
    a.name == b.name && a.dims == b.dims
}

/// The last affine layer, and what normalises its outputs.
fn head(model: &Model) -> Vec<Tensor> {
    let last = model.layers().iter().rposition(|layer| layer.is_product()).unwrap_or(0);
    let names: Vec<&str> = model.layers()[last..].iter().map(|layer| layer.name()).collect();
    let is_of_head =
        |tensor: &Tensor| names.iter().any(|name| tensor.name.rsplit_once('.').is_some_and(|(of, _)| of == *name));
    model.tensors().into_iter().filter(is_of_head).collect()
}

/// Whether a weight has a pixel of its own: a dense layer that reads more than one.
fn depends_on_size(model: &Model) -> bool {
    let layers = model.layers().iter().zip(model.edges());
    layers.filter(|(layer, _)| layer.weight_dims().len() == 2).any(|(_, edges)| {
        let Shape { height, width, .. } = model.shape_of(edges.x);
        height * width > 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::run::Run;
    use crate::values::ValueKind;
    use std::sync::Arc;

    /// Weights of a description for so many of the digits' classes, in a file.
    fn saved(path: &Path, description: Description, input: Shape, classes: usize) -> Weights {
        let model = Model::new(&description, input, classes).unwrap();
        let classes = (0..classes).map(|i| format!("{}", 9 - i)).collect();
        let signature =
            Signature { model: description, input, classes, normalisation: vec![(3.0, 7.0)], values: ValueKind::Bytes };
        let theta = model.initialise(7);
        let weights = Weights { model: Arc::new(model), theta, moments: vec![1.0; 1000], signature };
        weights.save(path).unwrap();
        weights
    }

    #[test]
    fn layers_are_kept_and_the_head_of_other_classes_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let text = path.to_str().unwrap();
        let data = Dataset::digits().unwrap();
        for name in ["digits-1k", "digits-resnet-5k"] {
            let weights = saved(&path, Description::open(name).unwrap(), data.shape, 5);
            let config = Run::sweep(&data).init(text).config().unwrap();
            assert_eq!((config.model.name.as_str(), config.whiten), (name, false));
            let (init, model) = (config.init.clone().unwrap(), Model::new(&config.model, data.shape, 10).unwrap());
            assert_eq!((&init.normalisation, init.drawn.len()), (&weights.signature.normalisation, 1));
            assert_eq!(config.signature(&data).normalisation, [(3.0, 7.0)]);
            let (theta, drawn) = (init.start(&model, 3).unwrap(), model.initialise(3));
            for (tensor, own) in model.tensors().into_iter().zip(weights.model.tensors()) {
                let is_drawn = tensor.name.starts_with(&init.drawn[0]);
                let from = if is_drawn { &drawn[tensor.range.clone()] } else { &weights.theta[own.range] };
                assert_eq!(&theta[tensor.range], from, "{}", tensor.name);
            }
            // the same classes, in the order of outputs
            let own = weights.signature.classes.clone();
            let labels = |labels: &[u32]| labels.iter().map(|label| label % 5).collect();
            let mut fewer = data.clone();
            (fewer.train.labels, fewer.test.labels) = (labels(&data.train.labels), labels(&data.test.labels));
            fewer.classes = own;
            assert!(Run::sweep(&fewer).init(text).config().unwrap().init.unwrap().drawn.is_empty());
        }
        let moved = Run::sweep(&data).init(text).config().unwrap().init.unwrap();
        let model = Model::new(&Description::open("digits-resnet-5k").unwrap(), data.shape, 10).unwrap();
        saved(&path, Description::linear(4), data.shape, 5);
        let others = moved.start(&model, 3).unwrap_err();
        assert!(others.to_string().contains("not the weights that the run started from"), "{others}");
        std::fs::remove_file(&path).unwrap();
        let gone = moved.start(&model, 3).unwrap_err();
        assert!(gone.to_string().contains("starts from cannot be read"), "{gone}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let text = path.to_str().unwrap();
        let data = Dataset::digits().unwrap();
        let refused = |model: Option<&str>| {
            let run = Run::sweep(&data).init(text);
            let run = model.iter().fold(run, |run, name| run.model(*name));
            match run.config() {
                Err(Error::Data(why)) => why.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let other_size = Shape::new(1, 10, 10);
        let wider = folder.path().join("wider.toml");
        let layers = "layer = [{ kind = \"conv\", channels = 9, size = 3 }, { kind = \"dense\" }]";
        std::fs::write(&wider, layers).unwrap();
        saved(&path, Description::open("digits-1k").unwrap(), data.shape, 10);
        let why = refused(wider.to_str());
        assert!(why.contains("a 8×1×3×3 tensor conv1.weight, and the model has it as 9×1×3×3"), "{why}");
        let why = refused(Some("digits-resnet-5k"));
        assert!(why.contains("no tensor conv2.weight, and the model has it as 8×8×3×3"), "{why}");
        saved(&path, Description::linear(4), data.shape, 5);
        assert!(refused(None).contains("nothing to start from"));
        // a dense layer has a weight for each pixel, unless the last of these is one
        saved(&path, Description::open("digits-1k").unwrap(), other_size, 10);
        assert!(refused(None).contains("but the run was trained on 1×10×10"));
        saved(&path, Description::open("digits-resnet-5k").unwrap(), other_size, 10);
        let config = Run::sweep(&data).init(text).config().unwrap();
        assert_eq!(config.model.name, "digits-resnet-5k");
    }
}
