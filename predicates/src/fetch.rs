//! What costs a helper call and is the same throughout a firing: fetched at most once.

use dlang::diag::Span;

use crate::asm::MapRef;
use crate::emit::{Emit, Emitted, Fetched, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::storage::{TEXTS, own_state};

impl Emit<'_> {
    /// `dst = value of a once-fetched slot`, calling `fetch` (result in `r0`) where it may not
    /// have been fetched. Destroys `r0` to `r5`.
    pub(crate) fn fetch_once(
        &mut self,
        dst: Reg,
        what: Fetched,
        span: Span,
        fetch: impl FnOnce(&mut Self) -> Emitted<()>,
    ) -> Emitted<()> {
        let slot = self.slot(what.clone(), span)?;
        if self.fetched.contains(&what) {
            self.asm.load(Size::Double, dst, Reg::FP, slot);
            return Ok(());
        }
        let have = self.asm.label();
        self.asm.load(Size::Double, dst, Reg::FP, slot);
        self.asm.jump_if_imm(Cond::Ne, dst, 0, have);
        fetch(self)?;
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        self.asm.mov(dst, Reg::R0);
        self.asm.bind(have);
        self.fetched.insert(what);
        Ok(())
    }

    /// `dst = bpf_get_current_pid_tgid()`: the process above, the thread below. If rdtrace runs in a
    /// PID namespace, the ids are those of that namespace; a thread that is in another one has the
    /// kernel's own.
    ///
    /// ```text
    ///     struct bpf_pidns_info { u32 pid; u32 tgid; }      in this order: as one word it is what the
    ///                                                       plain helper gives; zeroed if it fails
    /// ```
    pub fn pid_tgid(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let Some((device, inode)) = self.storage.task.pid_namespace else {
            return self.fetch_once(dst, Fetched::PidTgid, span, |e| {
                e.asm.call(Helper::GetCurrentPidTgid);
                Ok(())
            });
        };
        let info = self.buffer(8, span)?;
        let fetched = self.fetch_once(dst, Fetched::PidTgid, span, |e| {
            let have = e.asm.label();
            e.asm.store_imm(Size::Double, Reg::FP, info, 0);
            e.asm.mov_imm(Reg::R1, device.cast_signed());
            e.asm.mov_imm(Reg::R2, inode.cast_signed());
            e.stack_address(Reg::R3, info);
            e.asm.mov_imm(Reg::R4, 8);
            e.asm.call(Helper::GetNsCurrentPidTgid);
            e.asm.load(Size::Double, Reg::R0, Reg::FP, info);
            e.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, have);
            e.asm.call(Helper::GetCurrentPidTgid);
            e.asm.bind(have);
            Ok(())
        });
        self.stack.give_buffer(info, 8);
        fetched
    }

    /// `dst = bpf_get_current_uid_gid()`: the group above, the user below.
    pub fn uid_gid(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetch_once(dst, Fetched::UidGid, span, |e| {
            e.asm.call(Helper::GetCurrentUidGid);
            Ok(())
        })
    }

    /// `dst = monotonic nanoseconds`, the same throughout a firing.
    pub fn timestamp(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetch_once(dst, Fetched::Timestamp, span, |e| {
            e.asm.call(Helper::KtimeGetNs);
            Ok(())
        })
    }

    /// `dst = address of the thread's state`, made and zeroed if the thread has none. A firing
    /// on a thread that can get none is given up and counted. Destroys `r0` to `r5`.
    ///
    /// Where firings may interrupt each other, a firing on a thread that is in the middle of another one is
    /// given up, too, and counted for itself: an interrupt's tracepoint, or a function that some helper calls.
    ///
    /// ```text
    ///     if (state->busy) goto nested;  state->busy = 1;      taken back where the program ends
    /// ```
    pub fn thread_state(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let map = self.storage.thread;
        let give_up = self.give_up;
        self.gave_up = true;
        self.fetch_once(dst, Fetched::Thread, span, |e| {
            e.task_value(map, true);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
            // A timer has interrupted the thread, whose scratch is in use; it has its own.
            if e.scratch_kind() == Fetched::Thread {
                e.take_thread();
                e.empty_heap();
                e.clear_scratch(span)?;
            }
            Ok(())
        })
    }

    /// Gives the firing up if another one of the thread, whose state is at `r0`, is being interrupted.
    fn take_thread(&mut self) {
        if !self.storage.nests {
            return;
        }
        self.may_nest = true;
        let nested = self.nested;
        self.asm
            .load(Size::Double, Reg::R1, Reg::R0, own_state::BUSY);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, nested);
        self.asm
            .store_imm(Size::Double, Reg::R0, own_state::BUSY, 1);
    }

    /// Takes back what [`take_thread`](Self::take_thread) noted, or gives back what was claimed, if the firing has come that
    /// far. Destroys `r0`.
    pub(crate) fn give_scratch_back(&mut self) {
        let kind = self.scratch_kind();
        let is_noted = kind == Fetched::Claimed || kind == Fetched::Thread && self.storage.nests;
        let Some(&slot) = self.slots.get(&kind).filter(|_| is_noted) else {
            return;
        };
        let done = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm
            .store_imm(Size::Double, Reg::R0, own_state::BUSY, 0);
        self.asm.bind(done);
    }

    /// `r0 = address of this thread's value in task storage`, 0 if there is none and none can be made.
    pub(crate) fn task_value(&mut self, map: MapRef, make: bool) {
        self.asm.call(Helper::GetCurrentTaskBtf);
        self.asm.map(Reg::R1, map);
        self.asm.mov(Reg::R2, Reg::R0);
        self.asm.mov_imm(Reg::R3, 0);
        self.asm.mov_imm(Reg::R4, i64::from(make)); // BPF_LOCAL_STORAGE_GET_F_CREATE is 1
        self.asm.call(Helper::TaskStorageGet);
    }

    /// Empties the heap of the scratch at `r0`, which a firing has just found.
    pub(crate) fn empty_heap(&mut self) {
        self.asm
            .store_imm(Size::Double, Reg::R0, own_state::HEAP_USED, 0);
    }

    /// Sees to it that [`Self::early_scratch`] can be used.
    pub fn plan_scratch(&mut self, span: Span) -> Emitted<()> {
        self.scratch_slot(span).map(drop)
    }

    /// [`Self::scratch`] for code that runs before the probes' own, between the prologue's
    /// zeroing and the clauses.
    pub fn early_scratch(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetched.remove(&self.scratch_kind());
        self.scratch(dst, span)
    }

    /// `r0 = bpf_probe_read_user_str(r1, r2, r3)`, or the kernel's counterpart for text that was
    /// converted to the thread's scratch. An address in the kernel's half that is not there comes
    /// from the traced program, which must not choose what is read of the kernel: it is refused.
    ///
    /// ```text
    ///     if (r3 >= 0) r0 = read_user_str();
    ///     else if (r3 - (state + texts) < size of the texts) r0 = read_kernel_str();
    ///     else r0 = -1;
    /// ```
    pub(crate) fn read_text(&mut self, span: Span) -> Emitted<()> {
        if !self.converted_text {
            self.asm.call(Helper::ProbeReadUserStr);
            return Ok(());
        }
        let (upper, refused, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        // What was converted has fetched the scratch; the slot is 0 otherwise.
        let state = self.scratch_slot(span)?;
        let temps = self.temps_offset(span)?;
        let (texts, size) = self.storage.texts;
        self.asm.jump_if_imm(Cond::SLt, Reg::R3, 0, upper);
        self.asm.call(Helper::ProbeReadUserStr);
        self.asm.jump(done);
        self.asm.bind(upper);
        self.asm.load(Size::Double, Reg::R4, Reg::FP, state);
        self.asm.jump_if_imm(Cond::Eq, Reg::R4, 0, refused);
        // As a number, by way of memory.
        self.asm.store(Size::Double, Reg::R4, temps, Reg::R4);
        self.asm.load(Size::Double, Reg::R5, Reg::R4, temps);
        self.asm.alu_imm(Alu::Add, Reg::R5, imm(texts));
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::Sub, Reg::R0, Reg::R5);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R0, imm(TEXTS * size), refused);
        self.asm.call(Helper::ProbeReadKernelStr);
        self.asm.jump(done);
        self.asm.bind(refused);
        self.asm.mov_imm(Reg::R0, -1);
        self.asm.bind(done);
        Ok(())
    }

    /// `dst = address of the scratch`, laid out like a thread's state. Destroys `r0` to `r5`.
    pub fn scratch(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        if self.storage.claims {
            return self.claimed_scratch(dst, span);
        }
        if !self.machine.timer {
            return self.thread_state(dst, span);
        }
        let map = self.storage.scratch;
        let give_up = self.give_up;
        self.gave_up = true;
        let key = self.buffer(8, span)?;
        let done = self.fetch_once(dst, Fetched::TimerScratch, span, |e| {
            e.asm.store_imm(Size::Double, Reg::FP, key, 0);
            e.asm.map(Reg::R1, map);
            e.stack_address(Reg::R2, key);
            e.asm.call(Helper::MapLookupElem);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
            e.empty_heap();
            e.clear_scratch(span)
        });
        self.stack.give_buffer(key, 8);
        done
    }

    /// `dst = address of the scratch`, which this path has surely fetched. Destroys nothing else.
    pub(crate) fn scratch_known(&mut self, dst: Reg) {
        let slot = *self
            .slots
            .get(&self.scratch_kind())
            .expect("the scratch has been fetched");
        self.asm.load(Size::Double, dst, Reg::FP, slot);
    }

    /// The slot with the address of the scratch, 0 where it has not been fetched.
    pub(crate) fn scratch_slot(&mut self, span: Span) -> Emitted<i16> {
        self.slot(self.scratch_kind(), span)
    }

    pub(crate) fn scratch_kind(&self) -> Fetched {
        match (self.storage.claims, self.machine.timer) {
            (true, _) => Fetched::Claimed,
            (false, true) => Fetched::TimerScratch,
            (false, false) => Fetched::Thread,
        }
    }

    /// `dst = scratch + offset`.
    pub fn scratch_at(&mut self, dst: Reg, offset: u32, span: Span) -> Emitted<()> {
        self.scratch(dst, span)?;
        self.asm.alu_imm(Alu::Add, dst, imm(offset));
        Ok(())
    }
}
