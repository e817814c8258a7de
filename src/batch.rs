//! What a mini-batch is, for those who choose its examples and for those who compute its gradient.

/// Which examples go into a gradient.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Their positions among all.
    pub positions: &'a [u32],
    /// What each counts, one on average, where not all count the same.
    pub weights: Option<&'a [f32]>,
    /// The epoch, from 0: where examples have copies, each epoch takes the next ones.
    pub epoch: u64,
    /// With it, only those examples go backward that the draw keeps.
    pub draw: Option<Draw>,
}

/// What a draw of examples follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The seed of all draws.
    pub seed: u64,
    /// Which of them.
    pub step: u64,
}
