// Package export_wit_world holds the functions of the world itself. The generated bindings fix the
// package's name.
package export_wit_world

func Add(a uint32, b uint32) uint32 { return a + b }

func Note(text string) {}
