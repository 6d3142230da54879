#!/bin/sh
echo "second $*"
