//! Barriers that all invocations of a workgroup meet. One that some miss hangs or is refused (by Tint, by FXC), and
//! naga does not look. A condition is uniform when it depends on nothing but constants, the workgroup's id and
//! read-only memory at such addresses; a barrier may stand in branches and loops that only such conditions steer, in
//! main or in a function it calls.

use naga::{
    AddressSpace, Arena, Binding, Block, BuiltIn, Expression, Function, FunctionArgument, Handle, LocalVariable,
    Module, Statement, StorageAccess,
};
use std::collections::HashSet;

/// Every barrier that some invocations may miss.
pub fn faults(module: &Module) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in &module.entry_points {
        let uniform = entry.function.arguments.iter().map(is_uniform_builtin).collect();
        Scope { module, function: &entry.function, arguments: uniform }.check(&entry.function.body, &mut faults);
    }
    faults.sort();
    faults.dedup();
    faults
}

fn is_uniform_builtin(argument: &FunctionArgument) -> bool {
    matches!(argument.binding, Some(Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups)))
}

/// A function as called with arguments of which some are uniform.
struct Scope<'a> {
    module: &'a Module,
    function: &'a Function,
    arguments: Vec<bool>,
}

impl Scope<'_> {
    /// Checks a block that all invocations enter together.
    fn check(&self, block: &Block, faults: &mut Vec<String>) {
        for statement in block {
            match statement {
                Statement::Block(inner) => self.check(inner, faults),
                Statement::Call { function, arguments, .. } if self.reaches(*function) => {
                    let called = &self.module.functions[*function];
                    let arguments = arguments.iter().map(|&argument| self.is_uniform(argument)).collect();
                    Scope { module: self.module, function: called, arguments }.check(&called.body, faults);
                }
                Statement::If { condition, accept, reject } => {
                    let has_barrier = self.has_barrier(accept) || self.has_barrier(reject);
                    if has_barrier && !self.is_uniform(*condition) {
                        faults.push("a barrier in a branch that some invocations miss".to_owned());
                    }
                    self.check(accept, faults);
                    self.check(reject, faults);
                }
                Statement::Loop { body, continuing, break_if }
                    if self.has_barrier(body) || self.has_barrier(continuing) =>
                {
                    let leaves_uniformly =
                        [body, continuing].into_iter().all(|block| self.leaves_uniformly(block, &mut HashSet::new()));
                    if !leaves_uniformly || break_if.is_some_and(|condition| !self.is_uniform(condition)) {
                        faults.push("a barrier in a loop that some invocations leave".to_owned());
                    }
                    self.check(body, faults);
                    self.check(continuing, faults);
                }
                Statement::Switch { cases, .. } if cases.iter().any(|case| self.has_barrier(&case.body)) => {
                    faults.push("a barrier in a switch".to_owned());
                }
                _ => {}
            }
        }
        // a return that all take together or none
        let is_met = |s: &Statement| match s {
            Statement::If { condition, .. } => self.is_uniform(*condition),
            _ => false,
        };
        let returns = block.iter().position(|s| !is_met(s) && contains(s, &|s| matches!(s, Statement::Return { .. })));
        let last = block.iter().rposition(|s| self.is_or_holds_barrier(s));
        if let (Some(returns), Some(last)) = (returns, last)
            && returns < last
        {
            faults.push("a return before a barrier".to_owned());
        }
    }

    /// Whether every break, continue and return of a loop's body hangs on a uniform condition.
    fn leaves_uniformly(&self, block: &Block, visiting: &mut HashSet<Handle<LocalVariable>>) -> bool {
        let leaves = |s: &Statement| matches!(s, Statement::Break | Statement::Continue | Statement::Return { .. });
        block.iter().all(|statement| match statement {
            Statement::If { condition, accept, reject } => {
                let inside = accept.iter().chain(reject).any(|s| contains(s, &leaves));
                !inside || self.uniform(*condition, visiting)
            }
            Statement::Block(inner) => self.leaves_uniformly(inner, visiting),
            _ => true,
        })
    }

    fn has_barrier(&self, block: &Block) -> bool {
        block.iter().any(|statement| self.is_or_holds_barrier(statement))
    }

    fn is_or_holds_barrier(&self, statement: &Statement) -> bool {
        contains(statement, &|s| match s {
            Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
            Statement::Call { function, .. } => self.reaches(*function),
            _ => false,
        })
    }

    /// Whether a function, or one it calls, has a barrier.
    fn reaches(&self, function: Handle<Function>) -> bool {
        self.has_barrier(&self.module.functions[function].body)
    }

    fn is_uniform(&self, expression: Handle<Expression>) -> bool {
        self.uniform(expression, &mut HashSet::new())
    }

    fn uniform(&self, at: Handle<Expression>, visiting: &mut HashSet<Handle<LocalVariable>>) -> bool {
        use Expression as E;
        match self.function.expressions[at] {
            E::Literal(_) | E::Constant(_) | E::Override(_) | E::ZeroValue(_) => true,
            E::FunctionArgument(index) => self.arguments[index as usize],
            E::GlobalVariable(variable) => match self.module.global_variables[variable].space {
                AddressSpace::Uniform => true,
                AddressSpace::Storage { access } => !access.contains(StorageAccess::STORE),
                _ => false,
            },
            E::LocalVariable(variable) => self.is_uniform_variable(variable, visiting),
            E::Load { pointer: inner }
            | E::AccessIndex { base: inner, .. }
            | E::Splat { value: inner, .. }
            | E::Swizzle { vector: inner, .. }
            | E::Unary { expr: inner, .. }
            | E::As { expr: inner, .. }
            | E::ArrayLength(inner) => self.uniform(inner, visiting),
            E::Access { base, index } => self.uniform(base, visiting) && self.uniform(index, visiting),
            E::Binary { left, right, .. } => self.uniform(left, visiting) && self.uniform(right, visiting),
            E::Compose { ref components, .. } => components.iter().all(|&c| self.uniform(c, visiting)),
            E::Select { condition, accept, reject } => {
                [condition, accept, reject].into_iter().all(|e| self.uniform(e, visiting))
            }
            E::Math { arg, arg1, arg2, arg3, .. } => {
                [Some(arg), arg1, arg2, arg3].into_iter().flatten().all(|e| self.uniform(e, visiting))
            }
            E::CallResult(function) => {
                let mut is_uniform = false;
                let arguments_of = |s: &Statement| match s {
                    Statement::Call { arguments, result, .. } if *result == Some(at) => Some(arguments.clone()),
                    _ => None,
                };
                for arguments in find(&self.function.body, &arguments_of) {
                    let arguments = arguments.iter().map(|&argument| self.uniform(argument, visiting)).collect();
                    let called = &self.module.functions[function];
                    is_uniform = Scope { module: self.module, function: called, arguments }.returns_uniformly();
                }
                is_uniform
            }
            _ => false,
        }
    }

    /// Whether a function that runs straight through returns what is uniform.
    fn returns_uniformly(&self) -> bool {
        self.function.body.iter().all(|statement| match statement {
            Statement::Return { value } => value.is_none_or(|value| self.is_uniform(value)),
            inner => !contains(inner, &|s| matches!(s, Statement::Return { .. })),
        })
    }

    /// Whether everything stored to a variable is uniform, and stored by all invocations or none.
    fn is_uniform_variable(
        &self,
        variable: Handle<LocalVariable>,
        visiting: &mut HashSet<Handle<LocalVariable>>,
    ) -> bool {
        if !visiting.insert(variable) {
            return true; // a loop's counter depends on itself
        }
        let init = self.function.local_variables[variable].init;
        init.is_none_or(|init| self.uniform(init, visiting))
            && self.stores_uniformly(&self.function.body, variable, visiting)
    }

    fn stores_uniformly(
        &self,
        block: &Block,
        variable: Handle<LocalVariable>,
        visiting: &mut HashSet<Handle<LocalVariable>>,
    ) -> bool {
        let stores = |s: &Statement| match s {
            Statement::Store { pointer, .. } => root(&self.function.expressions, *pointer) == Some(variable),
            Statement::Call { arguments, .. } => {
                arguments.iter().any(|&a| root(&self.function.expressions, a) == Some(variable))
            }
            _ => false,
        };
        block.iter().all(|statement| match statement {
            _ if !contains(statement, &stores) => true,
            Statement::Store { value, .. } => self.uniform(*value, visiting),
            Statement::Block(inner) => self.stores_uniformly(inner, variable, visiting),
            Statement::If { condition, accept, reject } => {
                self.uniform(*condition, visiting)
                    && self.stores_uniformly(accept, variable, visiting)
                    && self.stores_uniformly(reject, variable, visiting)
            }
            Statement::Loop { body, continuing, .. } => {
                self.leaves_uniformly(body, visiting)
                    && self.stores_uniformly(body, variable, visiting)
                    && self.stores_uniformly(continuing, variable, visiting)
            }
            _ => false,
        })
    }
}

/// The variable that a pointer points into.
fn root(expressions: &Arena<Expression>, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
    match expressions[pointer] {
        Expression::LocalVariable(variable) => Some(variable),
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => root(expressions, base),
        _ => None,
    }
}

/// What is found in a block's statements and those inside them.
fn find<T>(block: &Block, of: &dyn Fn(&Statement) -> Option<T>) -> Vec<T> {
    let found = std::cell::RefCell::new(Vec::new());
    for statement in block {
        contains(statement, &|s| {
            found.borrow_mut().extend(of(s));
            false
        });
    }
    found.into_inner()
}

/// Whether a statement, or one inside it, is of a kind.
fn contains(statement: &Statement, is_kind: &dyn Fn(&Statement) -> bool) -> bool {
    let any = |block: &Block| block.iter().any(|inner| contains(inner, is_kind));
    is_kind(statement)
        || match statement {
            Statement::Block(block) => any(block),
            Statement::If { accept, reject, .. } => any(accept) || any(reject),
            Statement::Switch { cases, .. } => cases.iter().any(|case| any(&case.body)),
            Statement::Loop { body, continuing, .. } => any(body) || any(continuing),
            _ => false,
        }
}
