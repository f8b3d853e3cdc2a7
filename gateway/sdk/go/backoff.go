package fanfare

import (
	"math"
	"math/rand"
	"sync"
	"time"
)

// Backoff says how long to wait before coming back: a random time below a bound that doubles with
// each attempt. The zero value waits between 500 ms and 20 s.
type Backoff struct {
	Least, Most time.Duration
}

// Wait returns the pause before an attempt, counted from 1.
func (b Backoff) Wait(attempt int) time.Duration {
	least, most := b.Least, b.Most
	if least <= 0 {
		least = 500 * time.Millisecond
	}
	if most <= 0 {
		most = 20 * time.Second
	}
	bound := float64(least) * math.Pow(2, math.Min(float64(attempt), 20))
	bound = math.Min(bound, float64(most))
	return least + time.Duration(random()*math.Max(0, bound-float64(least)))
}

var dice = struct {
	sync.Mutex
	*rand.Rand
}{Rand: rand.New(rand.NewSource(time.Now().UnixNano()))}

// random answers with a number from 0 to 1: each process its own, which Go 1.19 does not do.
func random() float64 {
	dice.Lock()
	defer dice.Unlock()
	return dice.Float64()
}
