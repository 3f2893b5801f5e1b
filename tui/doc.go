// Package tui draws what happens on the network in one session.
//
// Store folds proxy/event into calls, endpoints and counts, and every view is drawn from
// it: the Bar and the Dock under the agent, the inspector on the alternate screen, the
// panel for a child that does not draw.
//
// What it promises:
//   - It never holds anything up. Events are taken off a channel in batches, at most 30
//     times a second; who cannot keep up is the subscription, which drops and counts.
//   - Its memory is bounded: the last KeepCalls calls, the first 2,000 endpoints, clipped
//     texts. The counts are whole all the same.
//   - What comes from the network is made harmless by event.Escape as it enters the
//     Store, before anything can draw it. Widths are cells.
//   - Whatever a colour says a sign says too.
//
// Nothing here is safe for use by two goroutines at once, except where it says so: the
// caller of Bar and Dock feeds its Store and draws from it in turn.
package tui
