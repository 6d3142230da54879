#!/bin/sh
echo "turn $1, boat $2"
