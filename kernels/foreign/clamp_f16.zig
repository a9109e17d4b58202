//! y = min(max(x, low), high), f16 with bounds in f32: widened, clamped, rounded once. A NaN stays one.
//! a = x[rows, hidden], output = y[rows, hidden].

/// A planted fault: 0 is none. The table is fixtures/packs/foreign.faults.json.
const fault: u32 = 0;

const Region = extern struct { offset: u32, size: u32 };
const Descriptor = extern struct { input_a: Region, input_b: Region, output: Region, scratch: Region, params: Region };
const Params = extern struct { rows: u32, hidden: u32, low: f32, high: f32 };
const Info = extern struct {
    name_ptr: u32,
    name_len: u32,
    abi_version: u16 = 1,
    major: u16 = 1,
    minor: u16 = 0,
    patch: u16 = 0,
    flags: u32 = 0,
};

const ok = 0;
const invalid_input = 1;
const invalid_output = 2;
const invalid_params = 3;
const page_bytes = 65536;
const name = "clamp_f16";

extern var __heap_base: u8;

fn inside(region: Region) bool {
    const end = @as(u64, @wasmMemorySize(0)) * page_bytes;
    return region.size == 0 or (region.offset >= @intFromPtr(&__heap_base) and region.offset % 16 == 0 and
        region.size <= 0x7fff_ffff and @as(u64, region.offset) + region.size <= end);
}

fn overlap(one: Region, other: Region) bool {
    return one.size != 0 and other.size != 0 and one.offset < @as(u64, other.offset) + other.size and
        other.offset < @as(u64, one.offset) + one.size;
}

/// Steps 2 to 4 of the checks in docs/abi.md.
fn checkParams(region: Region) i32 {
    if (region.size != @sizeOf(Params)) return invalid_params;
    if (!inside(region)) return invalid_input;
    const params: *const Params = @ptrFromInt(region.offset);
    const bounds = params.low >= -65504.0 and params.low <= 0.0 and params.high >= 0.0 and params.high <= 65504.0;
    return if (params.rows != 0 and params.hidden != 0 and bounds) ok else invalid_params;
}

fn compute(params: Params, x: [*]const f16, y: [*]f16) void {
    const low = if (fault == 1) -params.low else params.low;
    for (0..params.rows) |row| {
        for (0..params.hidden) |column| {
            const at = row * params.hidden + column;
            if (fault == 2 and column > 0 and column + 1 == params.hidden) {
                y[at] = x[at];
                continue;
            }
            const value: f32 = x[at];
            const above = if (value < low and !(fault == 6 and at % 2 == 1)) low else value;
            const clamped = if (above > params.high) params.high else above;
            var rounded: f16 = @floatCast(clamped);
            // Truncates instead of rounding.
            if (fault == 3 and @abs(@as(f32, rounded)) > @abs(clamped))
                rounded = @bitCast(@as(u16, @bitCast(rounded)) - 1);
            if (fault == 4 and value != value) rounded = @floatCast(low);
            if (fault == 5 and row > 0 and row + 1 == params.rows) rounded = y[at - params.hidden];
            y[at] = rounded;
        }
    }
}

export fn kernel_forward(address: u32) i32 {
    const own: Region = .{ .offset = address, .size = @sizeOf(Descriptor) };
    if (!inside(own)) return invalid_input;
    const d = @as(*const Descriptor, @ptrFromInt(address)).*;
    const status = checkParams(d.params);
    if (status != ok) return status;
    const all = [_]Region{ d.input_a, d.input_b, d.output, d.scratch, d.params, own };
    for (all, 0..) |one, i| {
        if (!inside(one)) return invalid_input;
        for (all[0..i]) |other| {
            if (overlap(one, other)) return invalid_input;
        }
    }
    const params = @as(*const Params, @ptrFromInt(d.params.offset)).*;
    const count = @as(u64, params.rows) * params.hidden;
    // What does not fit 32 bits is the size of no region.
    const bytes = if (count > 0x7fff_ffff) 0xffff_ffff_ffff else count * 2;
    if (d.input_a.size != bytes or d.input_b.size != 0) return invalid_input;
    if (d.output.size != bytes) return invalid_output;
    compute(params, @ptrFromInt(d.input_a.offset), @ptrFromInt(d.output.offset));
    return ok;
}

export fn kernel_init(params: u32, params_len: u32) i32 {
    return if (params_len == 0) ok else checkParams(.{ .offset = params, .size = params_len });
}

export fn kernel_info(out: u32) i32 {
    const end = @as(u64, @wasmMemorySize(0)) * page_bytes;
    if (out < @intFromPtr(&__heap_base) or out % 4 != 0 or @as(u64, out) + @sizeOf(Info) > end) return invalid_output;
    @as(*Info, @ptrFromInt(out)).* = .{ .name_ptr = @intFromPtr(name), .name_len = name.len };
    return ok;
}

export fn kernel_cleanup() i32 {
    return ok;
}
