//! Preludes: WGSL that several shaders share. A file names those it uses by lines `#import NAME`; WGSL itself has no
//! include.

use crate::device::{Profile, Variant, WeightRows};

/// One file of `shaders/prelude/`.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The file's stem.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
}

/// What decides which of a prelude's texts a shader gets.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Only,
    Variant,
    Weights,
    Kind,
}

/// A name to import, and its texts.
#[derive(Clone, Copy, Debug)]
pub struct Prelude {
    /// What `#import` calls it.
    pub name: &'static str,
    /// One; or one a variant (software, discrete, portable); or one a way of [`WeightRows`]; or one an activation, as
    /// [`KIND`](crate::program::KIND) counts.
    pub texts: &'static [Text],
    choice: Choice,
}

/// A table of preludes: `name: choice [files]`.
macro_rules! preludes {
    ($($name:literal: $choice:ident [$($file:literal),*],)*) => {
        &[$(Prelude {
            name: $name,
            texts: &[$(Text {
                name: $file,
                source: include_str!(concat!("../../shaders/prelude/", $file, ".wgsl")),
            }),*],
            choice: Choice::$choice,
        }),*]
    };
}

/// Every prelude.
pub const PRELUDES: &[Prelude] = preludes![
    "activation": Kind ["relu", "tanh", "silu", "softplus", "identity"],
    "block_weights": Variant ["weights_lanes", "weights_shared", "weights_shared"],
    "epilogue": Only ["epilogue"],
    "finish": Only ["finish"],
    "group_normal": Only ["group_normal"],
    "group_products": Only ["group_products"],
    "math": Only ["math"],
    "normal": Only ["normal"],
    "normal_products": Only ["normal_products"],
    "outer_tile": Only ["outer_tile"],
    "parameters": Only ["parameters"],
    "patch_lines": Only ["patch_lines"],
    "pixels": Only ["pixels"],
    "philox": Only ["philox"],
    "product_tile": Only ["product_tile"],
    "row_total": Variant ["row_total_alone", "row_total_shared", "row_total_shared"],
    "softmax": Only ["softmax"],
    "targets": Only ["targets"],
    "terms": Variant ["terms_apart", "terms_chained", "terms_chained"],
    "total": Variant ["total_lanes", "total_shared", "total_shared"],
    "weights": Weights ["weights_lanes", "weights_shared", "weights_uniform"],
];

impl Prelude {
    /// The prelude of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRELUDES.iter().find(|prelude| prelude.name == name)
    }

    /// The text for a profile and an activation.
    fn text(&self, profile: &Profile, kind: usize) -> &'static Text {
        let i = match self.choice {
            Choice::Only => 0,
            Choice::Variant => match profile.variant {
                Variant::Software => 0,
                Variant::Discrete => 1,
                Variant::Portable => 2,
            },
            Choice::Weights => match profile.weights {
                WeightRows::Lanes => 0,
                WeightRows::Shared => 1,
                WeightRows::Uniform => 2,
            },
            Choice::Kind => kind,
        };
        &self.texts[i]
    }
}

/// The name in a line `#import NAME`.
pub(super) fn imported(line: &str) -> Option<&str> {
    line.strip_prefix("#import ").map(str::trim)
}

/// What a file imports, as it names it.
pub fn imports(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(imported)
}

/// The texts that a file imports, and those that they import before them, each once.
///
/// # Panics
/// When there is no prelude of a name.
pub(super) fn resolve(source: &str, profile: &Profile, kind: usize) -> Vec<&'static Text> {
    let mut texts = Vec::new();
    collect(source, profile, kind, &mut texts);
    texts
}

fn collect(source: &str, profile: &Profile, kind: usize, texts: &mut Vec<&'static Text>) {
    for name in imports(source) {
        let prelude = Prelude::find(name).unwrap_or_else(|| panic!("#import {name}: there is no such prelude"));
        let text = prelude.text(profile, kind);
        if texts.iter().all(|known| known.name != text.name) {
            collect(text.source, profile, kind, texts);
            texts.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str, profile: &Profile, kind: usize) -> Vec<&'static str> {
        resolve(source, profile, kind).into_iter().map(|text| text.name).collect()
    }

    #[test]
    fn imports_are_resolved_once_each_and_by_profile_and_activation() {
        let (software, discrete, scalar, portable) =
            (&Profile::SOFTWARE, &Profile::DISCRETE, &Profile::SCALAR, &Profile::PORTABLE);
        assert_eq!(names("// none\nfn main() {}\n", portable, 0), [""; 0]);
        assert_eq!(names("#import softmax\n#import math\n", portable, 0), ["math", "softmax"]);
        assert_eq!(names("#import total\n", software, 0), ["total_lanes"]);
        assert_eq!(names("#import total\n#import weights\n", discrete, 0), ["total_shared", "weights_shared"]);
        assert_eq!(names("#import total\n#import weights\n", scalar, 0), ["total_shared", "weights_uniform"]);
        assert_eq!(names("#import block_weights\n", scalar, 0), ["weights_shared"]);
        assert_eq!(names("#import activation\n", portable, 0), ["relu"]);
        assert_eq!(names("#import activation\n", portable, 2), ["math", "silu"]);
    }

    #[test]
    #[should_panic(expected = "#import nothing: there is no such prelude")]
    fn an_unknown_import_is_refused() {
        resolve("#import nothing\n", &Profile::PORTABLE, 0);
    }
}
