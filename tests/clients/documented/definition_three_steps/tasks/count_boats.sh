#!/bin/sh
echo "12 boats"
