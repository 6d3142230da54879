#!/bin/sh
echo "it failed: $1"
