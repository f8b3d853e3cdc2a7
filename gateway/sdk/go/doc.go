// Package fanfare is the client of the Fanfare realtime gateway: channels that resume by position,
// publishing, and agents.
//
// A [Client] keeps one connection and any number of channels; a [Subscription] yields what happens
// on one. An [Agent] takes tasks. Nothing here starts a goroutine that Close, or the end of the
// context given to Run, does not end.
package fanfare
