//! Fills in the restorer's arguments.

use super::ahead;
use super::scaffold::Scaffold;
use super::space::Space;
use super::start::Start;
use super::vdso::HostPlan;
use crate::image::manifest::{Entry, MemoryMapFields};
use hotfork_abi::restore::*;
use hotfork_abi::{Plain, Text};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

pub struct Arguments<'a> {
    pub space: &'a Space,
    pub host: &'a HostPlan,
    pub left_behind: &'a [Range<u64>],
    pub scaffold: &'a Scaffold,
    pub operation_count: usize,
    pub last: Option<MapOperation>,
    pub second_thread: bool,
    pub entry: &'a Entry,
    pub start: Start,
    pub perf_path: Option<&'a Path>,
    pub checked: u64,
    pub nap: Duration,
    pub close_from: i32,
}

impl Arguments<'_> {
    pub fn fill(&self) -> RestoreArgs {
        let Space { environment, hole, layout, .. } = self.space;
        let HostPlan { moves, patches, in_hole, .. } = self.host;
        let mut args = RestoreArgs::zeroed();
        let at = |offset: u64| hole + offset;
        args.ahead = at(layout.ahead);
        args.last = self.last.unwrap_or(MapOperation { operation: OP_NONE, ..MapOperation::zeroed() });
        args.hole = *hole;
        args.hole_length = layout.end;
        args.host_mappings[..moves.len()].copy_from_slice(moves);
        args.host_mapping_count = moves.len() as u64;
        args.patches[..patches.len()].copy_from_slice(patches);
        args.patch_count = patches.len() as u64;
        args.curbrk = self.entry.curbrk;
        args.close_from = self.close_from as u64;
        args.prepare = self.entry.instance_prepare;
        args.entry = self.entry.instance_entry;
        // As right after a call: 8 below a multiple of 16.
        args.stack = (self.entry.entry_stack & !15) - 8;
        let instance = &mut args.instance;
        // The room of a vdso that does not come is given back with it.
        let scaffold = if *in_hole { layout.scaffold } else { layout.host };
        instance.scaffold = at(scaffold);
        instance.scaffold_length = layout.end - scaffold;
        for (place, range) in instance.left_behind.iter_mut().zip(self.left_behind) {
            *place = [range.start, range.end];
        }
        instance.second_thread = if self.second_thread { ahead::tid_at(self.scaffold) } else { 0 };
        instance.later_done = ahead::later_done_at(self.scaffold);
        instance.operations = at(layout.operations);
        instance.operation_count = self.operation_count as u64;
        instance.environment = at(layout.environment);
        instance.environment_length = environment.bytes.len() as u64;
        instance.environment_count = environment.count;
        instance.ignored_signals = self.start.ignored_signals;
        instance.perf_name = self.perf_path.map_or(Text::empty(), |path| Text::new(&path.to_string_lossy()));
        instance.nap = self.nap.as_nanos() as u64;
        instance.times_fd = -1;
        instance.times[TIME_MAIN] = self.start.time;
        instance.times[TIME_CHECKED] = self.checked;
        let new_environment = (instance.environment, instance.environment_length);
        args.memory_map = memory_map(&self.entry.memory_map, new_environment, at(layout.auxv));
        args
    }
}

fn memory_map(fields: &MemoryMapFields, environment: (u64, u64), auxv: u64) -> MemoryMap {
    MemoryMap {
        start_code: fields.start_code,
        end_code: fields.end_code,
        start_data: fields.start_data,
        end_data: fields.end_data,
        start_brk: fields.start_brk,
        brk: fields.brk,
        start_stack: fields.start_stack,
        arg_start: fields.arg_start,
        arg_end: fields.arg_end,
        env_start: environment.0,
        env_end: environment.0 + environment.1,
        // The kernel wants no pointer where there is no vector.
        auxv: if fields.auxv.is_empty() { 0 } else { auxv },
        auxv_size: fields.auxv.len() as u32,
        exe_fd: u32::MAX,
    }
}
