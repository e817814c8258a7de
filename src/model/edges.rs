//! What reads what: the edges between the layers of a model.

/// The example, or what a layer puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(usize);

/// What a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edges {
    /// x
    pub x: Value,
    /// The second term of a [sum](super::Layer::is_sum).
    pub plus: Option<Value>,
}

impl Value {
    /// What is put into the model.
    pub const EXAMPLE: Self = Self(0);

    /// What layer i puts out.
    pub const fn of_layer(i: usize) -> Self {
        Self(i + 1)
    }

    /// The layer that puts it out, if any does.
    pub const fn layer(self) -> Option<usize> {
        self.0.checked_sub(1)
    }

    /// Its number, that of the example being 0.
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Edges {
    /// Those of a layer that reads one value.
    pub const fn from(x: Value) -> Self {
        Self { x, plus: None }
    }

    /// What is read, once or twice.
    pub fn values(self) -> impl Iterator<Item = Value> {
        std::iter::once(self.x).chain(self.plus)
    }
}
