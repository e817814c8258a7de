//! A WGSL file and the preludes put after it, composed for a device profile.

use super::prelude::{Text, imported, resolve};
use crate::device::{MAX_BINDINGS, Profile, QUADS_WIDTH, Storage};

/// A WGSL file with entry point `main`. Shapes reach it as override constants.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// The file's stem, `<noun>_<role>`.
    pub name: &'static str,
    /// The file's text, which names the preludes it uses.
    pub source: &'static str,
}

/// `shader!("axpby")` is `shaders/axpby.wgsl`.
macro_rules! shader {
    ($name:literal) => {
        $crate::program::shader::Shader::new(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
        )
    };
}
pub(crate) use shader;

/// The constant that chooses an activation. It chooses a text and is no override: a shader with all of them in every
/// value's way takes drivers five times as long to compile.
pub const KIND: &str = "KIND";

/// Constants that shape the text alone: the activation, vec4 of a step's window, and loads of a row of weights by a
/// subgroup.
pub const TEXT_CONSTANTS: [&str; 3] = [KIND, "SPAN", "ROW_LOADS"];

/// By binding: the constant that is added to the indices of quads in a texture, so that a view may begin anywhere.
pub(super) const FIRST_TEXELS: [&str; MAX_BINDINGS] = [
    "FIRST_TEXEL_0",
    "FIRST_TEXEL_1",
    "FIRST_TEXEL_2",
    "FIRST_TEXEL_3",
    "FIRST_TEXEL_4",
    "FIRST_TEXEL_5",
    "FIRST_TEXEL_6",
    "FIRST_TEXEL_7",
    "FIRST_TEXEL_8",
    "FIRST_TEXEL_9",
];

impl Shader {
    /// A shader from its text.
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source }
    }

    /// The override constants among `constants`, as wgpu takes them. Negative numbers are recorded in two's complement
    /// (`-1isize as usize`).
    pub fn overrides<'a>(&self, constants: &[(&'a str, usize)]) -> Vec<(&'a str, f64)> {
        let overrides = constants.iter().filter(|(name, _)| !TEXT_CONSTANTS.contains(name));
        overrides.map(|&(name, value)| (name, value as isize as f64)).collect()
    }

    /// The preludes that the file imports, each after those that it imports itself.
    ///
    /// # Panics
    /// When there is no such prelude.
    pub fn preludes(&self, profile: &Profile, constants: &[(&str, usize)]) -> Vec<&'static Text> {
        let kind = constants.iter().find(|(name, _)| *name == KIND).map_or(0, |(_, kind)| *kind);
        resolve(self.source, profile, kind)
    }

    /// The WGSL handed to the driver: the file, with quads where the profile keeps them, then the preludes.
    ///
    /// # Panics
    /// When there is no such prelude, or no constant that a line is unrolled by.
    pub fn wgsl(&self, profile: &Profile, constants: &[(&str, usize)]) -> String {
        // The file first: naga cannot size workgroup memory by an override that is declared later.
        let preludes = self.preludes(profile, constants).into_iter().map(|text| text.source);
        let lines = std::iter::once(self.source).chain(preludes).flat_map(str::lines);
        let composed = lines.filter(|line| imported(line).is_none()).map(|line| {
            let quads = QuadsDeclaration::parse(line).map(|quads| quads.declare(profile.storage));
            quads.or_else(|| unroll(line, constants)).unwrap_or_else(|| line.to_owned()) + "\n"
        });
        composed.collect()
    }
}

/// A line `unroll(NAME, COUNT) { BODY }` is BODY for every NAME from 0 up to the constant COUNT. WGSL has no such loop;
/// arrays that stay in registers need constant indices, and code that is never reached takes drivers half of their time
/// to throw away.
fn unroll(line: &str, constants: &[(&str, usize)]) -> Option<String> {
    let (indent, rest) = line.split_once("unroll(")?;
    let (head, rest) = rest.split_once(") { ")?;
    let (name, count) = head.split_once(", ")?;
    let body = rest.strip_suffix(" }")?;
    let known = constants.iter().find(|(constant, _)| *constant == count).map(|(_, count)| *count);
    // 1 where a shader is looked at without any constants
    let count =
        known.unwrap_or_else(|| if constants.is_empty() { 1 } else { panic!("no constant {count} for {line}") });
    let copies = (0..count).map(|i| indent.to_owned() + &replace_word(body, name, &format!("{i}u")));
    Some(copies.collect::<Vec<_>>().join("\n"))
}

/// `text` with every whole word `name` replaced.
fn replace_word(text: &str, name: &str, by: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut replaced = String::new();
    let mut end = 0;
    for (at, _) in text.match_indices(name) {
        if !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part) {
            replaced.push_str(&text[end..at]);
            replaced.push_str(by);
            end = at + name.len();
        }
    }
    replaced + &text[end..]
}

/// The declaration of an array of vec4 in the pseudo address space `quads`,
/// `@group(0) @binding(0) var<quads, read> x: array<vec4f>;`: it is read with `load_x(i)`, written with
/// `store_x(i, value)`, or both (`read_write`).
struct QuadsDeclaration<'a> {
    binding: &'a str,
    access: &'a str,
    name: &'a str,
    element: &'a str,
}

impl<'a> QuadsDeclaration<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (binding, rest) = line.split_once("var<quads, ")?;
        let (access, rest) = rest.split_once('>')?;
        let (name, rest) = rest.split_once(':')?;
        let (element, _) = rest.trim().strip_prefix("array<")?.split_once('>')?;
        Some(Self { binding, access, name: name.trim(), element })
    }

    /// The declaration that WGSL knows, and the functions.
    fn declare(&self, storage: Storage) -> String {
        let Self { binding, access, name, element } = self;
        let number = binding.split("@binding(").nth(1).and_then(|rest| rest.split_once(')')).map_or("0", |(n, _)| n);
        let first = format!("FIRST_TEXEL_{number}");
        let at = format!("vec2u((i + {first}) % {QUADS_WIDTH}u, (i + {first}) / {QUADS_WIDTH}u)");
        let (declaration, load, store) = match storage {
            Storage::Buffer => {
                let access = if *access == "read" { "read" } else { "read_write" };
                (
                    format!("var<storage, {access}> {name}: array<{element}>;"),
                    format!("return {name}[i];"),
                    format!("{name}[i] = value;"),
                )
            }
            Storage::Texture => {
                let texel = if *element == "vec4u" { "rgba32uint" } else { "rgba32float" };
                (
                    format!("var {name}: texture_storage_2d<{texel}, {access}>;\noverride {first}: u32 = 0u;"),
                    format!("return textureLoad({name}, {at});"),
                    format!("textureStore({name}, {at}, value);"),
                )
            }
        };
        let mut text = format!("{binding}{declaration}");
        if access.starts_with("read") {
            text += &format!("\nfn load_{name}(i: u32) -> {element} {{ {load} }}");
        }
        if access.ends_with("write") {
            text += &format!("\nfn store_{name}(i: u32, value: {element}) {{ {store} }}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shader_is_its_file_and_then_what_it_imports() {
        let shader = Shader::new("tanh", "// tanh: y\n#import activation\n\nfn f(x: vec4f) { activate(x); }\n");
        let wgsl = shader.wgsl(&Profile::PORTABLE, &[(KIND, 1)]);
        assert!(wgsl.starts_with("// tanh: y\n\nfn f(x: vec4f) { activate(x); }\n// math:"), "{wgsl}");
        let at = |what: &str| wgsl.find(what).unwrap_or_else(|| panic!("no {what} in {wgsl}"));
        assert!(at("fn tanh4(") < at("fn activate(") && !wgsl.contains("#import"));
        assert!(!shader.wgsl(&Profile::PORTABLE, &[(KIND, 4)]).contains("fn tanh4("), "the identity needs no math");
    }

    #[test]
    fn lines_are_unrolled_with_whole_words_replaced() {
        let line = "  unroll(k, TAPS) { sum_k += k * window[k + at_k]; }";
        let two = "  sum_k += 0u * window[0u + at_k];\n  sum_k += 1u * window[1u + at_k];";
        assert_eq!(unroll(line, &[("LINES", 7), ("TAPS", 2)]).unwrap(), two);
        assert_eq!(unroll(line, &[("TAPS", 0)]).unwrap(), "");
        assert_eq!(unroll("  unroll(l, LINES) { all(l); }", &[("LINES", 1)]).unwrap(), "  all(0u);");
        assert_eq!(unroll("  let roll = 1u;", &[]), None);
    }

    #[test]
    fn quads_are_declared_where_the_profile_keeps_them() {
        let quads =
            QuadsDeclaration::parse("@group(0) @binding(3) var<quads, write>   y: array<vec4f>;  // values").unwrap();
        let (buffer, texture) = (quads.declare(Storage::Buffer), quads.declare(Storage::Texture));
        assert!(buffer.starts_with("@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;\nfn store_y("));
        let declared = "@group(0) @binding(3) var y: texture_storage_2d<rgba32float, write>;\n";
        assert!(texture.starts_with(&format!("{declared}override FIRST_TEXEL_3: u32 = 0u;\nfn store_y(")), "{texture}");
        let quads = QuadsDeclaration::parse("@group(0) @binding(0) var<quads, read> bytes: array<vec4u>;").unwrap();
        assert!(
            quads
                .declare(Storage::Texture)
                .contains("<rgba32uint, read>;\noverride FIRST_TEXEL_0: u32 = 0u;\nfn load_bytes(i: u32) -> vec4u")
        );
        let both = QuadsDeclaration::parse("@group(0) @binding(0) var<quads, read_write> m: array<vec4f>;").unwrap();
        let texture = both.declare(Storage::Texture);
        assert!(
            texture.contains("<rgba32float, read_write>")
                && texture.contains("fn load_m")
                && texture.contains("fn store_m")
        );
        assert!(both.declare(Storage::Buffer).starts_with("@group(0) @binding(0) var<storage, read_write> m:"));
        assert!(QuadsDeclaration::parse("@group(0) @binding(0) var<storage, read> x: array<f32>;").is_none());
    }
}
