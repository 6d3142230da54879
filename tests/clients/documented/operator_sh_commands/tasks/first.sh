#!/bin/sh
echo first in $(basename "$PWD" | tr 0-9 n)
