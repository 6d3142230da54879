#!/bin/sh
touch "$1.here"
tries=0
until test -e one.here && test -e two.here && test -e three.here; do
  sleep 0.05
  tries=$((tries + 1))
  test $tries -lt 400 || exit 1
done
