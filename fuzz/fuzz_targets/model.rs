//! The description of a network, and the network for small images.
#![no_main]

use gpu_subset::model::{Description, Model};
use gpu_subset::shape::Shape;
use gpu_subset_fuzz::bounded;

libfuzzer_sys::fuzz_target!(|text: &str| {
    bounded(|| {
        let Ok(description) = Description::parse(text, "model.toml") else { return };
        for shape in [Shape::new(1, 8, 8), Shape::new(3, 32, 32)] {
            if let Ok(model) = Model::new(&description, shape, 10) {
                assert!(model.parameters() <= model.vector_len());
            }
        }
        let again = toml::to_string(&description).expect("a description is plain data");
        assert_eq!(Description::parse(&again, "model.toml").expect("what was written is read"), description);
    });
});
