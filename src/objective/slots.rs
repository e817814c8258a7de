//! Where derivatives lie on their way through a network: which steps a pass takes, and which of a few arrays hold their
//! tangents and cotangents. A value that several stages read has a cotangent in several parts, which are added up.

use super::stage::Stage;

/// A step of the derivative along a direction of the parameters. Arrays go by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// ty = J_x tx + J_θ v, masked unless more is added to it.
    Layer { stage: usize, tx: Option<usize>, ty: usize, is_masked: bool },
    /// ty = mask ⊙ (a + b)
    Sum { stage: usize, terms: Vec<Held>, ty: usize },
}

/// A step back from the logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// dy of a stage with parameters is known.
    Known { stage: usize, dy: usize },
    /// dx = J_xᵀ dy, masked unless it is a part of the cotangent of x.
    Input { stage: usize, dy: usize, dx: usize, is_masked: bool },
    /// The parts of a value's cotangent, or all of it, added up; of one that has other channels those of the value.
    Sum { value: usize, parts: Vec<Held>, to: usize, is_masked: bool },
}

/// A tangent or cotangent in an array, as large as a value. Channel c + `shift` of it is channel c of what it is a term
/// or a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub slot: usize,
    pub like: usize,
    pub shift: isize,
}

/// The steps of both passes, and the values of an example that each array holds, at most.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub along: Vec<Along>,
    pub back: Vec<Back>,
    pub sizes: Vec<usize>,
}

/// Arrays that are taken, how often, and the most values that each has held.
#[derive(Default)]
struct Arrays {
    holders: Vec<usize>,
    sizes: Vec<usize>,
}

impl Arrays {
    /// The first that is free.
    fn take(&mut self, size: usize) -> usize {
        let free = self.holders.iter().position(|&holders| holders == 0).unwrap_or(self.holders.len());
        self.take_this(free, size);
        free
    }

    fn take_this(&mut self, slot: usize, size: usize) {
        let len = self.holders.len().max(slot + 1);
        self.holders.resize(len, 0);
        self.sizes.resize(len, 0);
        self.holders[slot] += 1;
        self.sizes[slot] = self.sizes[slot].max(size);
    }

    fn free(&mut self, slot: usize) {
        self.holders[slot] -= 1;
    }
}

/// The array in which the cotangent of the logits starts, and that in which their tangent ends.
pub(super) const COTANGENT: usize = 0;
pub(super) const TANGENT: usize = 1;

impl Slots {
    pub(super) fn new(stages: &[Stage]) -> Self {
        let (along, tangents) = along(stages);
        let (back, cotangents) = Backward::new(stages).steps();
        let len = tangents.len().max(cotangents.len()).max(2);
        let size = |slot: usize| {
            let of = |sizes: &[usize]| sizes.get(slot).copied().unwrap_or(0);
            of(&tangents).max(of(&cotangents))
        };
        Self { along, back, sizes: (0..len).map(size).collect() }
    }
}

/// The steps along a direction, found from the last, so that a tangent gets its array where it is last read.
fn along(stages: &[Stage]) -> (Vec<Along>, Vec<usize>) {
    let (mut arrays, mut steps) = (Arrays::default(), Vec::new());
    let mut slots: Vec<Option<usize>> = vec![None; stages.len() + 1];
    let last = stages.len();
    arrays.take_this(TANGENT, stages.last().map_or(0, |stage| stage.output.len()));
    slots[last] = Some(TANGENT);
    for (s, stage) in stages.iter().enumerate().rev().filter(|(_, stage)| stage.is_dependent()) {
        let ty = slots[s + 1].expect("what a stage puts out is read by a later one");
        let mut part = |value: usize, arrays: &mut Arrays| {
            let take = || arrays.take(stages[value - 1].output.len());
            Held { slot: *slots[value].get_or_insert_with(take), like: value, shift: 0 }
        };
        let shifted = |part: Held| Held { shift: -(stage.first as isize), ..part };
        let plus = stage.plus.filter(|_| stage.has_plus_gradient).map(|plus| shifted(part(plus, &mut arrays)));
        let x = Some(stage.x).filter(|_| stage.has_input_gradient);
        if stage.is_sum || (plus.is_some() && !stage.has_parameters && x.is_none()) {
            let x = x.map(|x| part(x, &mut arrays));
            steps.push(Along::Sum { stage: s, terms: x.into_iter().chain(plus).collect(), ty });
            arrays.free(ty);
        } else if let Some(plus) = plus {
            let own = arrays.take(stage.output.len());
            steps.push(Along::Sum { stage: s, terms: vec![Held { slot: own, like: s + 1, shift: 0 }, plus], ty });
            arrays.free(ty);
            let tx = x.map(|x| part(x, &mut arrays).slot);
            steps.push(Along::Layer { stage: s, tx, ty: own, is_masked: false });
            arrays.free(own);
        } else {
            let tx = x.map(|x| part(x, &mut arrays).slot);
            steps.push(Along::Layer { stage: s, tx, ty, is_masked: true });
            arrays.free(ty);
        }
    }
    steps.reverse();
    (steps, arrays.sizes)
}

/// The steps back, as they are found.
struct Backward<'a> {
    stages: &'a [Stage],
    arrays: Arrays,
    /// Of each value, what is known of its cotangent, and how many parts are to come.
    known: Vec<Option<Held>>,
    missing: Vec<usize>,
    steps: Vec<Back>,
}

impl<'a> Backward<'a> {
    fn new(stages: &'a [Stage]) -> Self {
        let mut missing = vec![0; stages.len() + 1];
        for stage in stages {
            missing[stage.x] += usize::from(stage.has_input_gradient);
            if let Some(plus) = stage.plus {
                missing[plus] += usize::from(stage.has_plus_gradient);
            }
        }
        let (known, steps) = (vec![None; stages.len() + 1], Vec::new());
        Self { stages, arrays: Arrays::default(), known, missing, steps }
    }

    fn steps(mut self) -> (Vec<Back>, Vec<usize>) {
        let last = self.stages.len();
        self.arrays.take_this(COTANGENT, self.size(last));
        self.known[last] = Some(Held { slot: COTANGENT, like: last, shift: 0 });
        for (s, stage) in self.stages.iter().enumerate().rev().filter(|(_, stage)| stage.is_dependent()) {
            let dy = self.known[s + 1].take().expect("what a stage puts out is read by a later one");
            if stage.has_parameters {
                self.steps.push(Back::Known { stage: s, dy: dy.slot });
            }
            if let Some(plus) = stage.plus.filter(|_| stage.has_plus_gradient) {
                self.share(Held { shift: stage.first as isize, ..dy }, plus);
            }
            if stage.has_input_gradient && stage.is_sum {
                self.share(dy, stage.x);
            } else if stage.has_input_gradient {
                let (value, is_whole) = (stage.x, self.missing[stage.x] == 1 && self.known[stage.x].is_none());
                let dx = self.arrays.take(self.size(value));
                self.steps.push(Back::Input { stage: s, dy: dy.slot, dx, is_masked: is_whole });
                self.add(Held { slot: dx, like: value, shift: 0 }, value);
            }
            self.arrays.free(dy.slot);
        }
        (self.steps, self.arrays.sizes)
    }

    fn size(&self, value: usize) -> usize {
        self.stages[value - 1].output.len()
    }

    /// dy of a sum is a part of the cotangent of each of its terms.
    fn share(&mut self, dy: Held, value: usize) {
        let is_all = self.missing[value] == 1 && self.known[value].is_none();
        self.arrays.take_this(dy.slot, 0);
        let is_alike = dy.shift == 0 && self.size(dy.like) == self.size(value);
        let is_as_it_is = is_alike && self.stages[value - 1].activation.is_none();
        let part = match (is_all, is_as_it_is) {
            (true, true) => Held { like: value, ..dy },
            (true, false) => self.sum(vec![dy], value, true),
            (false, _) => dy,
        };
        self.add(part, value);
    }

    /// One more part of a value's cotangent.
    fn add(&mut self, part: Held, value: usize) {
        self.missing[value] -= 1;
        let known = match self.known[value].take() {
            None => part,
            Some(before) => self.sum(vec![before, part], value, self.missing[value] == 0),
        };
        self.known[value] = Some(known);
    }

    fn sum(&mut self, parts: Vec<Held>, value: usize, is_masked: bool) -> Held {
        let to = self.arrays.take(self.size(value));
        parts.iter().for_each(|part| self.arrays.free(part.slot));
        self.steps.push(Back::Sum { value, parts, to, is_masked });
        Held { slot: to, like: value, shift: 0 }
    }
}

/// Which of a few arrays holds each value, the example's first: none that its stage reads, since a kernel may not write
/// an array that it reads. Those of a chain take turns.
pub(super) fn arrays(stages: &[Stage]) -> Vec<usize> {
    let mut arrays = vec![0];
    for stage in stages {
        let reads = [Some(arrays[stage.x]), stage.plus.map(|plus| arrays[plus])];
        let free = (0..).find(|array| !reads.contains(&Some(*array)));
        arrays.push(free.expect("at most two are read"));
    }
    arrays
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Description, Model};
    use crate::objective::stage::stages;
    use crate::shape::Shape;

    fn stages_of(layers: &str) -> Vec<Stage> {
        let description = Description::parse(&format!("layer = [{layers}]"), "test").unwrap();
        stages(&Model::new(&description, Shape::new(3, 8, 8), 10).unwrap())
    }

    #[test]
    fn derivatives_of_a_chain_take_turns_between_two_arrays() {
        let stages = stages_of(
            r#"{ kind = "max-pool", size = 2 }, { kind = "conv", channels = 4, size = 3, activation = "relu" },
               { kind = "avg-pool", size = 2 }, { kind = "dense" }"#,
        );
        let Slots { along, back, sizes } = Slots::new(&stages);
        let step = |stage, tx, ty| Along::Layer { stage, tx, ty, is_masked: true };
        assert_eq!(along, [step(1, None, 1), step(2, Some(1), 0), step(3, Some(0), 1)]);
        let input = |stage, dy, dx| Back::Input { stage, dy, dx, is_masked: true };
        let known = |stage, dy| Back::Known { stage, dy };
        assert_eq!(back, [known(3, 0), input(3, 0, 1), input(2, 1, 0), known(1, 0)]);
        assert_eq!((sizes, arrays(&stages)), (vec![16, 16], vec![0, 1, 0, 1, 0]));
    }

    #[test]
    fn a_cotangent_of_several_parts_is_masked_once_it_is_whole() {
        let stages = stages_of(
            r#"{ kind = "conv", channels = 4, size = 3, padding = 1, activation = "relu", name = "a" },
               { kind = "conv", channels = 4, size = 3, padding = 1 },
               { kind = "add", from = "a", activation = "relu" }, { kind = "dense" }"#,
        );
        assert_eq!(stages.len(), 4, "activations are part of a product or of a sum");
        let Slots { along, back, sizes } = Slots::new(&stages);
        // dy of the sum, in 1, is that of both its terms; what comes from the second product is added to it
        let want = [
            Back::Known { stage: 3, dy: 0 },
            Back::Input { stage: 3, dy: 0, dx: 1, is_masked: true },
            Back::Known { stage: 1, dy: 1 },
            Back::Input { stage: 1, dy: 1, dx: 0, is_masked: false },
            Back::Sum {
                value: 1,
                parts: [(1, 3), (0, 1)].map(|(slot, like)| Held { slot, like, shift: 0 }).to_vec(),
                to: 2,
                is_masked: true,
            },
            Back::Known { stage: 0, dy: 2 },
        ];
        assert_eq!(back, want);
        let sums: Vec<_> = along.iter().filter(|step| matches!(step, Along::Sum { .. })).collect();
        assert_eq!(sums.len(), 1);
        assert_eq!((sizes.len(), arrays(&stages)), (3, vec![0, 1, 0, 2, 0]));
    }

    /// What an array holds of a value's cotangent: the stages that gave a part.
    #[derive(Clone, Debug)]
    struct Content {
        value: usize,
        parts: Vec<usize>,
    }

    /// The stages that give a part to the cotangent of a value.
    fn readers(stages: &[Stage], value: usize) -> Vec<usize> {
        let reads = |stage: &Stage| {
            let x = stage.x == value && stage.has_input_gradient;
            usize::from(x) + usize::from(stage.plus == Some(value))
        };
        stages.iter().enumerate().flat_map(|(s, stage)| vec![s; reads(stage)]).collect()
    }

    fn is_whole(stages: &[Stage], content: &Content) -> bool {
        let mut parts = content.parts.clone();
        parts.sort_unstable();
        content.value == stages.len() || parts == readers(stages, content.value)
    }

    /// The same as a part of the cotangent of another value: sums share theirs with their terms.
    fn part(stages: &[Stage], content: &Content, value: usize) -> Option<Vec<usize>> {
        if content.value == value {
            return Some(content.parts.clone());
        }
        let shared = content.value.checked_sub(1).filter(|&s| stages[s].is_sum && is_whole(stages, content))?;
        let terms = [Some(stages[shared].x), stages[shared].plus];
        let parts = vec![shared];
        terms.into_iter().flatten().find_map(|term| part(stages, &Content { value: term, parts: parts.clone() }, value))
    }

    /// Goes through the steps back, and asserts that each finds what it needs.
    fn follow(stages: &[Stage], back: &[Back]) -> Vec<usize> {
        let last = stages.len();
        let mut arrays: Vec<Option<Content>> = vec![None; 9];
        arrays[COTANGENT] = Some(Content { value: last, parts: Vec::new() });
        let part_of = |content: Content, value: usize| part(stages, &content, value).expect("of this value");
        let is_whole = |value: usize, parts: Vec<usize>| is_whole(stages, &Content { value, parts });
        let mut known = Vec::new();
        for step in back {
            let held = |slot: usize| arrays[slot].clone().expect("written before it is read");
            match step {
                Back::Known { stage, dy } => {
                    assert!(is_whole(stage + 1, part_of(held(*dy), stage + 1)));
                    known.push(*stage);
                }
                Back::Input { stage, dy, dx, .. } => {
                    assert!(dy != dx && is_whole(stage + 1, part_of(held(*dy), stage + 1)));
                    arrays[*dx] = Some(Content { value: stages[*stage].x, parts: vec![*stage] });
                }
                Back::Sum { value, parts, to, is_masked } => {
                    assert!(parts.iter().all(|part| part.slot != *to));
                    let of = |part: &Held| match part_of(held(part.slot), part.like) {
                        parts if part.like == *value => parts,
                        parts => {
                            let stage = &stages[part.like - 1];
                            assert!(stage.is_sum && is_whole(part.like, parts));
                            assert!(stage.x == *value || stage.plus == Some(*value));
                            vec![part.like - 1]
                        }
                    };
                    let parts: Vec<_> = parts.iter().flat_map(of).collect();
                    assert_eq!(is_whole(*value, parts.clone()), *is_masked);
                    arrays[*to] = Some(Content { value: *value, parts });
                }
            }
        }
        known
    }

    #[test]
    fn no_step_loses_what_a_later_one_needs() {
        let models = [
            r#"{ kind = "conv", channels = 4, size = 1, activation = "relu", name = "a" },
               { kind = "concat", from = ["a", "input"], name = "b" }, { kind = "conv", channels = 2, size = 1 },
               { kind = "concat", from = "b", activation = "tanh", name = "c" }, { kind = "concat", from = ["a", "a"] },
               { kind = "concat", from = "c" }, { kind = "dense" }"#,
            r#"{ kind = "conv", channels = 4, size = 3, padding = 1, activation = "tanh", name = "a" },
               { kind = "block", name = "b", repeat = 3, layer = [
                   { kind = "conv", channels = 4, size = 1, activation = "relu", name = "y" },
                   { kind = "conv", channels = 4, size = 1 }, { kind = "add", from = "input" },
                   { kind = "add", from = "a", name = "x" },
                   { kind = "add", from = ["y", "x"], activation = "silu", name = "z" },
                   { kind = "conv", channels = 6, size = 1, from = "input" },
                   { kind = "add", from = "z", pad = true }, { kind = "conv", channels = 4, size = 1 } ] },
               { kind = "add", from = ["a", "a"] }, { kind = "add", from = "b" }, { kind = "dense" }"#,
            r#"{ kind = "avg-pool", size = 2, name = "p" }, { kind = "conv", channels = 2, size = 1, name = "q" },
               { kind = "add", from = ["p", "q"], pad = true, name = "r" }, { kind = "add", from = ["r", "p"] },
               { kind = "add", from = "r", activation = "relu" }, { kind = "dense" }"#,
        ];
        for layers in models {
            let stages = stages_of(layers);
            let Slots { along, back, .. } = Slots::new(&stages);
            let with_parameters = (0..stages.len()).filter(|&s| stages[s].has_parameters);
            assert_eq!(follow(&stages, &back), with_parameters.rev().collect::<Vec<_>>());

            let mut tangents: Vec<Option<usize>> = vec![None; 9];
            for step in along {
                let (stage, reads, ty) = match step {
                    Along::Layer { stage, tx, ty, .. } => {
                        (stage, tx.map(|slot| Held { slot, like: stages[stage].x, shift: 0 }).into_iter().collect(), ty)
                    }
                    Along::Sum { stage, terms, ty } => (stage, terms, ty),
                };
                assert!(reads.iter().all(|part| tangents[part.slot] == Some(part.like) && part.slot != ty));
                tangents[ty] = Some(stage + 1);
            }
            assert_eq!(tangents[TANGENT], Some(stages.len()));
        }
    }
}
