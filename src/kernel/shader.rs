//! A WGSL file and the preludes put after it, composed for a device profile.

use crate::device::{Profile, QUADS_WIDTH, Storage, Variant};

/// A WGSL file with entry point `main`. Shapes reach it as override constants.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// The file's stem, `<noun>_<role>`.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
    /// Functions put after it.
    pub preludes: &'static [Prelude],
}

/// Functions that several shaders share (WGSL has no include), or that differ from one variant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prelude {
    /// Elementary functions with a known error.
    Math,
    /// An activation and its derivative, by the number of `KIND` in [`ACTIVATIONS`].
    Activation,
    /// Masks and the test for values that are not finite.
    Epilogue,
    /// Register tile of a product.
    ProductTile,
    /// Register tile of a weight gradient.
    OuterTile,
    /// How a row of weights reaches all invocations; by variant.
    Weights,
    /// How the sums of a workgroup's invocations are added; by variant.
    Total,
}

/// `shader!("axpby")` is `shaders/axpby.wgsl`; further arguments are preludes.
macro_rules! shader {
    ($name:literal $(, $prelude:ident)*) => {
        $crate::kernel::Shader::new(
            $name,
            include_str!(concat!("../../shaders/", $name, ".wgsl")),
            &[$($crate::kernel::Prelude::$prelude),*],
        )
    };
}
pub(crate) use shader;

/// The constant that chooses an activation. It chooses a text and is no override: a shader with all of them in every value's
/// way takes drivers five times as long to compile.
pub const KIND: &str = "KIND";

/// The texts that `KIND` counts.
const ACTIVATIONS: [&str; 5] = [
    include_str!("../../shaders/prelude/relu.wgsl"),
    include_str!("../../shaders/prelude/tanh.wgsl"),
    include_str!("../../shaders/prelude/silu.wgsl"),
    include_str!("../../shaders/prelude/softplus.wgsl"),
    include_str!("../../shaders/prelude/identity.wgsl"),
];

impl Prelude {
    /// The text for a variant and an activation.
    fn source(self, variant: Variant, kind: usize) -> &'static str {
        match (self, variant) {
            (Self::Math, _) => include_str!("../../shaders/prelude/math.wgsl"),
            (Self::Activation, _) => ACTIVATIONS[kind],
            (Self::Epilogue, _) => include_str!("../../shaders/prelude/epilogue.wgsl"),
            (Self::ProductTile, _) => include_str!("../../shaders/prelude/product_tile.wgsl"),
            (Self::OuterTile, _) => include_str!("../../shaders/prelude/outer_tile.wgsl"),
            (Self::Weights, Variant::Software) => include_str!("../../shaders/prelude/weights_lanes.wgsl"),
            (Self::Weights, Variant::Discrete) => include_str!("../../shaders/prelude/weights_shared.wgsl"),
            (Self::Weights, Variant::Portable) => include_str!("../../shaders/prelude/weights_uniform.wgsl"),
            (Self::Total, Variant::Software) => include_str!("../../shaders/prelude/total_lanes.wgsl"),
            (Self::Total, Variant::Discrete | Variant::Portable) => {
                include_str!("../../shaders/prelude/total_shared.wgsl")
            }
        }
    }
}

impl Shader {
    /// A shader from its text.
    pub const fn new(name: &'static str, source: &'static str, preludes: &'static [Prelude]) -> Self {
        Self { name, source, preludes }
    }

    /// The override constants among `constants`, as wgpu takes them. Negative numbers are recorded in two's complement
    /// (`-1isize as usize`).
    pub fn overrides<'a>(&self, constants: &[(&'a str, usize)]) -> Vec<(&'a str, f64)> {
        let overrides = constants.iter().filter(|(name, _)| *name != KIND);
        overrides.map(|&(name, value)| (name, value as isize as f64)).collect()
    }

    /// The WGSL handed to the driver: the file, with quads where the profile keeps them, then the preludes.
    pub fn wgsl(&self, profile: &Profile, constants: &[(&str, usize)]) -> String {
        let kind = constants.iter().find(|(name, _)| *name == KIND).map_or(0, |(_, kind)| *kind);
        // The file first: naga cannot size workgroup memory by an override that is declared later.
        let mut text = String::new();
        for line in self.source.lines() {
            text.push_str(&Quads::parse(line).map_or_else(|| line.to_owned(), |quads| quads.declare(profile.storage)));
            text.push('\n');
        }
        for prelude in self.preludes {
            text.push('\n');
            text.push_str(prelude.source(profile.variant, kind));
        }
        text
    }
}

/// The declaration of an array of vec4 in the pseudo address space `quads`,
/// `@group(0) @binding(0) var<quads, read> x: array<vec4f>;`: it is read with `load_x(i)`, or written with `store_x(i, value)`.
struct Quads<'a> {
    binding: &'a str,
    is_read: bool,
    name: &'a str,
    element: &'a str,
}

impl<'a> Quads<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (binding, rest) = line.split_once("var<quads, ")?;
        let (access, rest) = rest.split_once('>')?;
        let (name, rest) = rest.split_once(':')?;
        let (element, _) = rest.trim().strip_prefix("array<")?.split_once('>')?;
        Some(Self { binding, is_read: access == "read", name: name.trim(), element })
    }

    /// The declaration that WGSL knows, and the function.
    fn declare(&self, storage: Storage) -> String {
        let Self { binding, is_read, name, element } = self;
        let texel = if *element == "vec4u" { "rgba32uint" } else { "rgba32float" };
        let at = format!("vec2u(i % {QUADS_WIDTH}u, i / {QUADS_WIDTH}u)");
        match (storage, is_read) {
            (Storage::Buffer, true) => format!(
                "{binding}var<storage, read> {name}: array<{element}>;\nfn load_{name}(i: u32) -> {element} {{ return {name}[i]; }}"
            ),
            (Storage::Buffer, false) => format!(
                "{binding}var<storage, read_write> {name}: array<{element}>;\nfn store_{name}(i: u32, value: {element}) {{ {name}[i] = value; }}"
            ),
            (Storage::Texture, true) => format!(
                "{binding}var {name}: texture_storage_2d<{texel}, read>;\nfn load_{name}(i: u32) -> {element} {{ return textureLoad({name}, {at}); }}"
            ),
            (Storage::Texture, false) => format!(
                "{binding}var {name}: texture_storage_2d<{texel}, write>;\nfn store_{name}(i: u32, value: {element}) {{ textureStore({name}, {at}, value); }}"
            ),
        }
    }
}
