package fanfare

import "time"

// pace allows no more frames a second than the server does: a bucket that holds one second's worth
// and refills a little slower than the server's, which counts on its own clock.
type pace struct {
	rate, left float64
	at         time.Time
}

func newPace(perSecond int, now time.Time) *pace {
	if perSecond < 1 {
		perSecond = 1
	}
	rate := float64(perSecond) * 0.9
	return &pace{rate: rate, left: rate, at: now}
}

// take takes one frame and returns how long to wait before it may be written.
func (p *pace) take(now time.Time) time.Duration {
	p.left += now.Sub(p.at).Seconds() * p.rate
	if p.left > p.rate {
		p.left = p.rate
	}
	p.left--
	p.at = now
	if p.left >= 0 {
		return 0
	}
	return time.Duration(-p.left / p.rate * float64(time.Second))
}
