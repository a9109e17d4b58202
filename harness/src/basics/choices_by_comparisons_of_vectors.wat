;; The bits of what is chosen between 0 and a NaN or -0: none. The argument is 1, which no compiler knows.
(module
  (memory (export "memory") 1)
  (func (export "run") (param i32) (result i32) (local $zeros v128) (local $f32x4 v128) (local $f64x2 v128) (local $minus v128) (local $chosen v128)
    ;; Signalling NaNs.
    (local.set $f32x4 (i32x4.splat (i32.or (i32.const 0x7f800000) (local.get 0))))
    (local.set $f64x2 (i64x2.splat (i64.or (i64.const 0x7ff0000000000000) (i64.extend_i32_u (local.get 0)))))
    (local.set $chosen (v128.or
      (v128.or (f32x4.pmax (local.get $zeros) (local.get $f32x4)) (f32x4.pmin (local.get $zeros) (local.get $f32x4)))
      (v128.or (f64x2.pmax (local.get $zeros) (local.get $f64x2)) (f64x2.pmin (local.get $zeros) (local.get $f64x2)))))
    (local.set $minus (i32x4.splat (i32.shl (local.get 0) (i32.const 31))))
    (local.set $chosen (v128.or (local.get $chosen) (f32x4.pmin (local.get $zeros) (local.get $minus))))
    (local.set $minus (i64x2.splat (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 63))))
    (local.set $chosen (v128.or (local.get $chosen) (f64x2.pmin (local.get $zeros) (local.get $minus))))
    (v128.any_true (local.get $chosen))))
