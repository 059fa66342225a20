// Package export_test_kitchen_echo is the kitchen sink in Go: one echo function for every type WIT can
// say. The generated bindings fix the package's name.
package export_test_kitchen_echo

import (
	"fmt"
	"math"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	kitchen "wit_component/test_kitchen_echo"
)

func EchoBool(v bool) bool       { return v }
func EchoU8(v uint8) uint8       { return v }
func EchoU16(v uint16) uint16    { return v }
func EchoU32(v uint32) uint32    { return v }
func EchoU64(v uint64) uint64    { return v }
func EchoS8(v int8) int8         { return v }
func EchoS16(v int16) int16      { return v }
func EchoS32(v int32) int32      { return v }
func EchoS64(v int64) int64      { return v }
func EchoF32(v float32) float32  { return v }
func EchoF64(v float64) float64  { return v }
func EchoChar(v rune) rune       { return v }
func EchoString(v string) string { return v }

func EchoBytes(v []uint8) []uint8                  { return v }
func EchoStrings(v []string) []string              { return v }
func EchoU64s(v []uint64) []uint64                 { return v }
func EchoPoints(v []kitchen.Point) []kitchen.Point { return v }
func EchoMatrix(v [][]float64) [][]float64         { return v }

func EchoPoint(v kitchen.Point) kitchen.Point                   { return v }
func EchoShape(v kitchen.Shape) kitchen.Shape                   { return v }
func EchoPreferences(v kitchen.Preferences) kitchen.Preferences { return v }

// A tuple arrives as one value and leaves as several.
func EchoTuple(v witTypes.Tuple3[uint8, string, bool]) (uint8, string, bool) {
	return v.F0, v.F1, v.F2
}

func EchoPair(v witTypes.Tuple2[int32, int32]) (int32, int32) { return v.F0, v.F1 }

func EchoPayload(v kitchen.Payload) kitchen.Payload             { return v }
func EchoPayloads(v []kitchen.Payload) []kitchen.Payload        { return v }
func EchoColor(v kitchen.Color) kitchen.Color                   { return v }
func EchoPermissions(v kitchen.Permissions) kitchen.Permissions { return v }
func EchoWeekdays(v kitchen.Weekdays) kitchen.Weekdays          { return v }

func EchoOption(v witTypes.Option[string]) witTypes.Option[string] { return v }

func EchoOptionPoint(v witTypes.Option[kitchen.Point]) witTypes.Option[kitchen.Point] { return v }

func EchoNestedOption(v witTypes.Option[witTypes.Option[uint8]]) witTypes.Option[witTypes.Option[uint8]] {
	return v
}

func EchoOptions(v []witTypes.Option[int32]) []witTypes.Option[int32] { return v }

func EchoResults(v []witTypes.Result[int32, string]) []witTypes.Result[int32, string] { return v }

func EchoBareResults(v []witTypes.Result[witTypes.Unit, witTypes.Unit]) []witTypes.Result[witTypes.Unit, witTypes.Unit] {
	return v
}

func PassResult(v witTypes.Result[string, kitchen.MathError]) witTypes.Result[string, kitchen.MathError] {
	return v
}

func Divide(a int32, b int32) witTypes.Result[int32, kitchen.MathError] {
	if b == 0 {
		return witTypes.Err[int32](kitchen.MakeMathErrorDivideByZero())
	}
	if a == math.MinInt32 && b == -1 {
		return witTypes.Err[int32](kitchen.MakeMathErrorOverflow(fmt.Sprintf("%d / %d", a, b)))
	}
	return witTypes.Ok[int32, kitchen.MathError](a / b)
}

func Check(ok bool, message string) witTypes.Result[witTypes.Unit, string] {
	if ok {
		return witTypes.Ok[witTypes.Unit, string](witTypes.Unit{})
	}
	return witTypes.Err[witTypes.Unit](message)
}

func Succeed(ok bool) witTypes.Result[witTypes.Unit, witTypes.Unit] {
	if ok {
		return witTypes.Ok[witTypes.Unit, witTypes.Unit](witTypes.Unit{})
	}
	return witTypes.Err[witTypes.Unit](witTypes.Unit{})
}

func Describe(a uint32, b witTypes.Option[string], c bool) string {
	return fmt.Sprintf("a=%d b=%s c=%t", a, b.SomeOr("-"), c)
}
