;; Hostile: returns a text whose bytes are no UTF-8. `lone` is a byte that cannot stand alone, `surrogate` half
;; a pair of UTF-16, `overlong` a slash in two bytes, `cut` a character without its end; `letter` a char beyond
;; the last.
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (data (i32.const 16) "\ff")
    (data (i32.const 32) "\40\00\00\00\03\00\00\00")
    (data (i32.const 64) "\ed\a0\80")
    (data (i32.const 96) "\80\00\00\00\02\00\00\00")
    (data (i32.const 128) "\c0\af")
    (data (i32.const 160) "\c0\00\00\00\04\00\00\00")
    (data (i32.const 192) "abc\c3")
    (func (export "lone") (result i32) (i32.const 0))
    (func (export "surrogate") (result i32) (i32.const 32))
    (func (export "overlong") (result i32) (i32.const 96))
    (func (export "cut") (result i32) (i32.const 160))
    (func (export "letter") (result i32) (i32.const 0x110000)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "lone") (result string) (canon lift (core func $i "lone") (memory (core memory $memory))))
  (func (export "surrogate") (result string) (canon lift (core func $i "surrogate") (memory (core memory $memory))))
  (func (export "overlong") (result string) (canon lift (core func $i "overlong") (memory (core memory $memory))))
  (func (export "cut") (result string) (canon lift (core func $i "cut") (memory (core memory $memory))))
  (func (export "letter") (result char) (canon lift (core func $i "letter"))))
