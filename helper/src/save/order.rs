//! The order in which a restore maps: from the top of the address space down. Libraries lie up there, and the restore's first thread reads
//! them while the second one still maps what lies below.

use super::operations::Plan;
use hotfork_abi::restore::MapOperation;

/// Operations that lie over each other stay in their order. All are in the order of their addresses before.
pub fn downwards(plan: &mut Plan) {
    let mut groups: Vec<Vec<(u64, MapOperation)>> = Vec::new();
    let mut end = 0;
    for (index, operation) in (0..).zip(plan.operations.drain(..)) {
        match groups.last_mut() {
            Some(group) if operation.address < end => group.push((index, operation)),
            _ => groups.push(vec![(index, operation)]),
        }
        end = end.max(operation.address + operation.length);
    }
    let ordered: Vec<_> = groups.into_iter().rev().flatten().collect();
    let now = |before: u64| ordered.iter().position(|&(index, _)| index == before).map(|position| position as u64);
    plan.perf_operation = plan.perf_operation.and_then(now);
    plan.operations = ordered.into_iter().map(|(_, operation)| operation).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::Plain;
    use hotfork_abi::restore::{OP_ANONYMOUS, OP_COPY, OP_PRIVATE_FILE, OP_PROTECT};

    #[test]
    fn what_lies_over_each_other_keeps_its_order() {
        let of = |operation, address, length| MapOperation { operation, address, length, ..MapOperation::zeroed() };
        let low = of(OP_ANONYMOUS, 0x1000, 0x1000);
        let filled = [
            of(OP_ANONYMOUS, 0x2000, 0x8000),
            of(OP_COPY, 0x3000, 0x1000),
            of(OP_COPY, 0x6000, 0x1000),
            of(OP_PROTECT, 0x2000, 0x8000),
        ];
        let performance = of(OP_PRIVATE_FILE, 0xa000, 0x1000);
        let mut plan = Plan {
            operations: [&[low], &filled[..], &[performance]].concat(),
            perf_operation: Some(5),
            ..Plan::default()
        };
        downwards(&mut plan);
        let order: Vec<_> = plan.operations.iter().map(|one| (one.operation, one.address)).collect();
        let expected = [
            (OP_PRIVATE_FILE, 0xa000),
            (OP_ANONYMOUS, 0x2000),
            (OP_COPY, 0x3000),
            (OP_COPY, 0x6000),
            (OP_PROTECT, 0x2000),
            (OP_ANONYMOUS, 0x1000),
        ];
        assert_eq!(order, expected);
        assert_eq!(plan.perf_operation, Some(0));
    }
}
