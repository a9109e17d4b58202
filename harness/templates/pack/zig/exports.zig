//! The exports of a kernel, around the `value` of the root file.
//! a = x[rows, hidden], output = y[rows, hidden]; no b, no scratch.

const value = @import("root").value;

const Region = extern struct { offset: u32, size: u32 };
const Descriptor = extern struct { input_a: Region, input_b: Region, output: Region, scratch: Region, params: Region };
const Params = extern struct { rows: u32, hidden: u32, scale: f32 };
const Info = extern struct {
    name_ptr: u32,
    name_len: u32,
    abi_version: u16 = 1,
    major: u16 = 0,
    minor: u16 = 1,
    patch: u16 = 0,
    flags: u32 = 0,
};

const ok = 0;
const invalid_input = 1;
const invalid_output = 2;
const invalid_params = 3;
const name = "scaled_square";

extern var __heap_base: u8;

fn end() u64 {
    return @as(u64, @wasmMemorySize(0)) * 65536;
}

fn inside(region: Region) bool {
    return region.size == 0 or (region.offset >= @intFromPtr(&__heap_base) and region.offset % 16 == 0 and
        region.size <= 0x7fff_ffff and @as(u64, region.offset) + region.size <= end());
}

fn overlap(one: Region, other: Region) bool {
    return one.size != 0 and other.size != 0 and one.offset < @as(u64, other.offset) + other.size and
        other.offset < @as(u64, one.offset) + one.size;
}

/// The parameters: size, place, values.
fn checkParams(region: Region) i32 {
    if (region.size != @sizeOf(Params)) return invalid_params;
    if (!inside(region)) return invalid_input;
    const params: *const Params = @ptrFromInt(region.offset);
    return if (params.rows != 0 and params.hidden != 0) ok else invalid_params;
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
    const bytes = if (count > 0x3fff_ffff) 0xffff_ffff_ffff else count * 4;
    if (d.input_a.size != bytes or d.input_b.size != 0) return invalid_input;
    if (d.output.size != bytes) return invalid_output;
    const x: [*]const f32 = @ptrFromInt(d.input_a.offset);
    const y: [*]f32 = @ptrFromInt(d.output.offset);
    for (0..@intCast(count)) |i| y[i] = value(x[i], params.scale);
    return ok;
}

export fn kernel_init(params: u32, params_len: u32) i32 {
    return if (params_len == 0) ok else checkParams(.{ .offset = params, .size = params_len });
}

export fn kernel_info(out: u32) i32 {
    if (out < @intFromPtr(&__heap_base) or out % 4 != 0 or @as(u64, out) + @sizeOf(Info) > end()) return invalid_output;
    @as(*Info, @ptrFromInt(out)).* = .{ .name_ptr = @intFromPtr(name), .name_len = name.len };
    return ok;
}

export fn kernel_cleanup() i32 {
    return ok;
}
