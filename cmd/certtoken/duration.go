package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// duration is the value of a flag: a Go duration such as 90s, a number of days such as 30d,
// or a number of seconds.
type duration time.Duration

const day = 24 * time.Hour

var _ pflag.Value = (*duration)(nil)

func (d *duration) Set(text string) error {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		*d = duration(time.Duration(seconds) * time.Second)
		return nil
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			*d = duration(time.Duration(days) * day)
			return nil
		}
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a duration such as 90s, 5m, 12h or 30d, or a number of seconds")
	}
	*d = duration(parsed)
	return nil
}

func (d *duration) String() string {
	switch whole := time.Duration(*d); {
	case whole == 0:
		return ""
	case whole%day == 0:
		return strconv.Itoa(int(whole/day)) + "d"
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "duration" }

// period is a duration that is usually one of days. A number without a unit is refused: the
// user would mean days, and other durations are in seconds then.
type period duration

var _ pflag.Value = (*period)(nil)

func (p *period) Set(text string) error {
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil && seconds != 0 {
		return fmt.Errorf("give a unit too, such as %sd for days; others are h, m and s", text)
	}
	if err := (*duration)(p).Set(text); err != nil {
		return errors.New("give a duration such as 30d, 12h or 5m")
	}
	return nil
}

func (p *period) String() string { return (*duration)(p).String() }

func (p *period) Type() string { return (*duration)(p).Type() }
