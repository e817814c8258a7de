//! ONNX models that are no networks of this program.

use super::text::shown;

/// Why an ONNX model cannot be read as a network.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// No protocol buffer of a model.
    #[error("no ONNX model")]
    Undecoded {
        /// What the parser says.
        source: prost::DecodeError,
    },
    /// A node that no layer can do.
    #[error("node {} ({}): {}", shown(node), shown(kind), shown(why))]
    Node {
        /// Its name, or that of what it puts out.
        node: String,
        /// Its operator.
        kind: String,
        /// What is missing.
        why: String,
    },
    /// A graph without something that a network has.
    #[error("{}", shown(why))]
    Graph {
        /// What is missing.
        why: String,
    },
    /// A constant that cannot be read.
    #[error("constant {}: {}", shown(name), shown(why))]
    Constant {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl OnnxError {
    /// A graph that lacks something.
    pub(crate) fn graph(why: impl Into<String>) -> Self {
        Self::Graph { why: why.into() }
    }
}
