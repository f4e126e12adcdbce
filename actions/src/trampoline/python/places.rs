//! Places on the stack for arguments.

use dlang::diag::Span;
use predicates::emit::{Argument, Emit, Emitted};

/// Plans for an argument that may be a text which has to be converted.
pub(super) fn plan_text(emit: &mut Emit<'_>) -> Emitted<()> {
    emit.reserve_for_loops();
    emit.plan_scratch(Span::default())?;
    emit.converted_text = true;
    Ok(())
}

/// Gives the next argument a slot, if it is used; probes of one program share slots.
pub(super) fn place_argument(
    emit: &mut Emit<'_>,
    used: bool,
    slot: &mut Option<i16>,
) -> Emitted<()> {
    let argument = if used {
        let place = match *slot {
            Some(place) => place,
            None => emit.buffer(8, Span::default())?,
        };
        *slot = Some(place);
        Argument::Slot(place)
    } else {
        Argument::Absent
    };
    emit.machine.args.push(argument);
    Ok(())
}
