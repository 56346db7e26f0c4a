package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// duration is the value of a flag: a Go duration such as 90s, or a number of
// seconds.
type duration time.Duration

var _ pflag.Value = (*duration)(nil)

func (d *duration) Set(text string) error {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		*d = duration(time.Duration(seconds) * time.Second)
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a duration such as 90s or 5m, or a number of seconds")
	}
	*d = duration(parsed)
	return nil
}

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "duration" }
